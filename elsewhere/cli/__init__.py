"""The commands people type, one module per noun."""

"""One agency's node: its records, keys, catalogue and log, inside its own walls."""

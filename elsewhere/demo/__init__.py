"""A partnership of made-up agencies on one machine, run by the commands an operator types."""

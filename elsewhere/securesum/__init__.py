"""A sum over agencies that nobody can take apart: noise, masks, rounds and what it costs."""

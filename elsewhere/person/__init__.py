"""A child's identity: what was written, how it is folded for comparison, and what of it can be used."""

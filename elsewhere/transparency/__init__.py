"""A log that cannot be rewritten unnoticed: its tree, its checkpoints, and those who sign what they saw."""

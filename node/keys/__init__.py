"""The node's keys: what they are, which are in force, when the next ones come, and what is said of them."""

"""The processes of one node: which there are, which of them leads, and what each may do."""

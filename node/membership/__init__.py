"""The node as a member: how it came in, and what it believes about the federation."""

"""Asking other agencies: the two rounds, seen from the node that asks."""

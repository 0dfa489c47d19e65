"""Measurements of the whole system on one machine, each beside the least that its work can cost there."""

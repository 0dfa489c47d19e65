"""Catalogues: the short tags of everything a custodian will answer about, per collection and epoch."""

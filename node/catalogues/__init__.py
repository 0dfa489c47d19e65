"""Catalogues: publishing this agency's own, and holding those of others."""

"""A researcher's own program: keys, documents it has verified, studies it has run."""

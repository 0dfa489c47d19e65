"""How a gateway's tables came to be what they are: one revision a file, in order."""

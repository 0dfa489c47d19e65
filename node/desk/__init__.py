"""The desk: where this agency's own staff and systems ask their own node."""

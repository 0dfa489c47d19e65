"""A second searcher, written from proto/ and docs/protocol.md alone; it imports nothing of the project."""

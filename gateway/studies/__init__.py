"""Studies as the gateway sees them: signed documents, handed from side to side."""

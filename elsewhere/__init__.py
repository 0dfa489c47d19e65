"""The library the node and the gateway share, and the SDK and CLI that people import and type."""

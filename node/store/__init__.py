"""The node's SQL store: tables, one engine, one writer."""

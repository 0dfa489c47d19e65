"""The node's connections to gateways, which it dials itself."""

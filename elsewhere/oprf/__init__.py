"""The oblivious pseudorandom function that turns match keys into tags: RFC 9497, verifiable mode."""

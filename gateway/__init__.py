"""The blind courier: introduces, relays and caches ciphertext; holds nothing that identifies a child."""

"""What a practitioner's own system imports to ask its agency's node."""

"""Generated from proto/elsewhere/wire/v1 by `make proto`; never edited."""

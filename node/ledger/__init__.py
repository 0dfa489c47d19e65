"""The ledger: what this agency answered and asked, in a tree that nobody can alter unnoticed."""

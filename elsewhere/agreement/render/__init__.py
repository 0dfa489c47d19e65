"""Documents for people, written out of an agreement: its text, changes, records, a notice, a register."""

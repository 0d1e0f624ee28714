"""Whom to reach, with what, for how much: what a contact changes, what it is worth, and what to bid for it."""

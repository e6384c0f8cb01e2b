"""The people to write to, in lists, and where each of them stands."""

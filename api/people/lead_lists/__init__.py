"""Named lists of leads, and how many each of them holds."""

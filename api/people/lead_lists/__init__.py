"""Named lists of leads, and the number of leads in each."""

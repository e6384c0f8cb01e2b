"""Which column of a CSV file holds what."""

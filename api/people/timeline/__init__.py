"""The timeline of a lead."""

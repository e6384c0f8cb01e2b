"""The rules of outreach: pure functions and tables, with the standard library alone."""

"""Outreach: sequences, the leads enrolled in them, and the drafts of their emails."""

"""Unresolved sends: finding out what became of mails whose outcome is unknown, by lookups or by a user."""

"""Sending: claim, call, record; and finding out what became of calls that never answered."""

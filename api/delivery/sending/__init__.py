"""Sending: claim a mail, call the provider, record the result."""

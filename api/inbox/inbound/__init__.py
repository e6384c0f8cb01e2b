"""Inbound messages, posted or read from a mailbox: parsed, matched to a sent mail and stored once."""

"""Inbound: what is posted or found in a mailbox, read as a message, known for ours, matched and stored once."""

"""Replies, mailboxes and the inbound webhook."""

"""Mailboxes: the IMAP folder that receives the replies to a workspace."""

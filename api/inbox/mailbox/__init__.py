"""Mailboxes: the IMAP folder in which a workspace's answers arrive, and how it is read."""

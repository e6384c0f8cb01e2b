"""What people answer: replies, mailboxes and the inbound webhook."""

"""Webhooks: what providers push to us, stored before it is answered."""

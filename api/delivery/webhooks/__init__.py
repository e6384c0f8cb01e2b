"""Webhooks: storing what providers push before the request is answered."""

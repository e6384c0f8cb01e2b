"""Stored answers of Idempotency-Keys: a repeated POST gets the first answer and changes nothing."""

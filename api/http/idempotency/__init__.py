"""Answers kept by Idempotency-Key: a POST that is sent again is answered again, not done again."""

"""Everlytic, the email provider: a typed client of its HTTP API, and a local simulator of that API."""

"""Everlytic, the email provider: its wire contract, a typed client and a sandbox that speaks the same wire."""

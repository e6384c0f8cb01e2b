"""Accounts, their users and API keys: who may come in, and as what."""

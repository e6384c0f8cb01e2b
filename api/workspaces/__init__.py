"""Accounts, users, API keys, workspaces and their connection to Everlytic."""

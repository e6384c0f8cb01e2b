"""Workspaces, their settings, and their connection to Everlytic."""

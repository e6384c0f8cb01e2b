"""Polls Everlytic's own records into schema everlytic."""

"""Everlytic's record of what it did, polled into schema everlytic."""

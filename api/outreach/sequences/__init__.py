"""Sequences: what is to be said, and when."""

"""Pacing: how fast a workspace may send, and whose turn it is."""

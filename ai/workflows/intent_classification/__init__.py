"""Classifies the intent of a reply, and whether a person wrote it."""

"""Replies: their intents, and what an intent changes."""

"""Eligibility, send slots, sending, and what the provider reports."""

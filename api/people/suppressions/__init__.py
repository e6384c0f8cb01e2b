"""Suppressions: addresses and domains that must never be mailed, and the unsubscribe link."""

"""Permanent erasure of a person: statistics stay, and the address is never mailed again."""

"""Forgetting a person for good, while what happened can still be counted and nobody can ever mail them again."""

"""Enrollments: leads on their way through sequences."""

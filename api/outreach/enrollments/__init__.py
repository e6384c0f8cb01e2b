"""Enrollments: leads that go through sequences."""

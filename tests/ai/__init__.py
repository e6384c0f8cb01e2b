"""Tests of the AI room."""

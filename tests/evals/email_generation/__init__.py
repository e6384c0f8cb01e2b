"""Measures how many faulty texts the checks of `email_generation` reject, and how many good texts they pass."""

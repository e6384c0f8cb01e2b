"""Leads and their status."""

"""Drafts: emails written by a model or from a template, and reviewed by users."""

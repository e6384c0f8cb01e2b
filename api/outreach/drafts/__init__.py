"""Drafts: written by the model or from the template, reviewed by people."""

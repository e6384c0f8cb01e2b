"""Situations that broke other products, taken from their public bug reports and tried over HTTP."""

"""Proves that the work of reading untrusted text grows no faster than the text."""

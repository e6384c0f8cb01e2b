"""Imports: a file is read, mapped, previewed, committed to leads and undone."""

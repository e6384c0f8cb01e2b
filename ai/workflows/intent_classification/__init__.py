"""What a reply means and whether a person wrote it."""

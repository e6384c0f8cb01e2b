"""Connections to hosts that tenants configure: which addresses they may reach, and how much they may take."""

"""Outcomes: what became of sends that nobody saw end, found out at Everlytic or by a person."""

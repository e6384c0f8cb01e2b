"""Mutation testing: plants faults one by one and reports which of them the tests miss."""

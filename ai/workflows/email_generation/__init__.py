"""Generates an email to a lead from the template of a step."""

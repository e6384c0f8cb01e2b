"""Sequences: the steps of a campaign, their templates and delays."""

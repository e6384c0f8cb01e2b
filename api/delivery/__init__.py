"""Delivery: whether and when a mail may be sent, sending it, and applying what the provider reports."""

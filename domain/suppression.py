"""The reasons of suppressions, and the normal form of addresses."""

from enum import StrEnum


class SuppressionReason(StrEnum):
    """Why mail to an address or a domain is suppressed."""

    UNSUBSCRIBED = "unsubscribed"
    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    MANUAL = "manual"
    DOMAIN = "domain"


RECIPIENT_REASONS = (SuppressionReason.UNSUBSCRIBED, SuppressionReason.COMPLAINT)
"""Reasons stated by the recipient. They take precedence over reasons that we inferred; only an admin removes them."""


def normalise_address(address: str) -> str:
    """Return the address trimmed and in lower case, the form in which addresses are compared."""
    return address.strip().lower()


def extract_domain(address: str) -> str:
    """Return the domain part of an address, lower case."""
    return normalise_address(address).rpartition("@")[2]

"""Suppressed addresses and domains: their reasons, and the hashes that identify them."""

import hashlib
from enum import StrEnum
from uuid import UUID


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


def suppression_hash(workspace_id: UUID, value: str) -> str:
    """Return the hash that identifies a suppressed address or `@domain`; it stays when the plain value is erased.

    The hash includes the workspace, so that hashes of two tenants cannot be compared. The SQL function
    `app.suppression_hash` computes the same value.
    """
    return hashlib.sha256(f"{workspace_id}:{value.strip().lower()}".encode()).hexdigest()


def suppression_hashes(workspace_id: UUID, address: str) -> tuple[str, str]:
    """Return the two hashes that suppress mail to `address`: of the address itself and of its domain."""
    return suppression_hash(workspace_id, address), suppression_hash(workspace_id, f"@{extract_domain(address)}")

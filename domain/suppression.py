"""Who must never be mailed, and why."""

import hashlib
from enum import StrEnum
from uuid import UUID


class SuppressionReason(StrEnum):
    """Why an address or a domain must not be mailed."""

    UNSUBSCRIBED = "unsubscribed"
    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    MANUAL = "manual"
    DOMAIN = "domain"


OWN_WORD = (SuppressionReason.UNSUBSCRIBED, SuppressionReason.COMPLAINT)
"""What the person said; it outranks what we concluded, and only an admin takes it back."""


def normalise_address(address: str) -> str:
    """Return the form in which an address is compared: trimmed, lower case."""
    return address.strip().lower()


def domain_of(address: str) -> str:
    """Return the domain part of an address, lower case."""
    return normalise_address(address).rpartition("@")[2]


def suppression_hash(workspace_id: UUID, value: str) -> str:
    """Return the hash under which an address, or `@domain`, is suppressed; it survives erasure of the plain value.

    The workspace is part of it, so that hashes of two tenants cannot be compared. The database computes the same
    value in `app.suppression_hash`.
    """
    return hashlib.sha256(f"{workspace_id}:{value.strip().lower()}".encode()).hexdigest()


def suppression_hashes(workspace_id: UUID, address: str) -> tuple[str, str]:
    """Return the two hashes that stop mail to `address`: of the address itself and of its domain."""
    return suppression_hash(workspace_id, address), suppression_hash(workspace_id, f"@{domain_of(address)}")

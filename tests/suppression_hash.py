"""The hash of a suppressed value, computed without the database: the reference for `app.suppression_hash`."""

import hashlib
from uuid import UUID

from domain.suppression import derive_person_key


def suppression_hash(account_id: UUID, value: str) -> str:
    """Return the hash that identifies the person of an address, or a `@domain`, in one account."""
    return hashlib.sha256(f"{account_id}:{derive_person_key(value)}".encode()).hexdigest()

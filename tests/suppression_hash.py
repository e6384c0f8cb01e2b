"""The hash of a suppressed value, computed without the database: the reference for `app.suppression_hash`."""

import hashlib
from uuid import UUID

from domain.suppression import derive_person_key


def suppression_hash(workspace_id: UUID, value: str) -> str:
    """Return the hash that identifies the person of an address, or a `@domain`, in one workspace."""
    return hashlib.sha256(f"{workspace_id}:{derive_person_key(value)}".encode()).hexdigest()

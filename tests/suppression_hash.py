"""The hash of a suppressed value, computed without the database: the reference for `app.suppression_hash`."""

import hashlib
from uuid import UUID


def suppression_hash(workspace_id: UUID, value: str) -> str:
    """Return the hash that identifies an address or `@domain` in one workspace."""
    return hashlib.sha256(f"{workspace_id}:{value.strip().lower()}".encode()).hexdigest()

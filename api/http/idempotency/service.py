"""Stores the answer to a POST by its Idempotency-Key, in the same transaction as what the POST changes."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.http.idempotency import repository
from database.secrets import SecretBox

KEPT_HEADERS = ("cache-control", "content-type", "location")


@dataclass(frozen=True, slots=True)
class Answer:
    """The stored part of an HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """A key that the current transaction has claimed and whose answer is not stored yet."""

    session: AsyncSession
    id: UUID
    secrets: SecretBox

    async def store(self, answer: Answer) -> None:
        """Store the answer; its body is encrypted, because it may contain a new API key."""
        await repository.store_answer(
            self.session,
            self.id,
            status=answer.status,
            headers={name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers},
            encrypted_body=self.secrets.encrypt(answer.body.decode("latin-1")),
        )


async def claim_key(
    session: AsyncSession, secrets: SecretBox, *, account_id: UUID, user_id: UUID, key: str, fingerprint: str
) -> IdempotencyRecord | Answer | None:
    """Claim a user's key for this transaction, or return its stored answer, or None if it was for another request.

    Waits for a concurrent request with the same key. If that request commits, its answer is returned; if it fails,
    this request claims the key.
    """
    await repository.delete_expired(session, account_id)
    claimed = await repository.insert_key(session, account_id, user_id, key, fingerprint)
    if claimed is not None:
        return IdempotencyRecord(session, claimed, secrets)
    stored = await repository.find(session, user_id, key)
    if stored is None or stored.fingerprint != fingerprint or stored.status is None or stored.encrypted_body is None:
        return None
    return Answer(stored.status, stored.headers or {}, secrets.decrypt(stored.encrypted_body).encode("latin-1"))


def compute_fingerprint(parts: Iterable[bytes]) -> str:
    """Return the digest of the parts of a request; the boundaries of the parts count."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()

"""Is this POST done already? Its answer is stored in the transaction that did it, so both are there or neither is."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.http.errors import Conflict
from api.http.idempotency import repository
from database.secrets import SecretBox

KEPT_HEADERS = ("cache-control", "content-type", "location")


class KeyReused(Conflict):
    """The Idempotency-Key was used for another request before."""

    code = "idempotency_key_reused"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: what is kept of one, and what is given again."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """A key taken for the transaction under way, waiting for the answer to keep."""

    session: AsyncSession
    id: UUID
    secrets: SecretBox

    async def keep(self, answer: Answer) -> None:
        """Store the answer; its body is encrypted, because an answer may show a new key for the only time."""
        await repository.store_answer(
            self.session,
            self.id,
            status=answer.status,
            headers={name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers},
            encrypted_body=self.secrets.encrypt(answer.body.decode("latin-1")),
        )


async def claim_key(
    session: AsyncSession, secrets: SecretBox, *, account_id: UUID, user_id: UUID, key: str, fingerprint: str
) -> IdempotencyRecord | Answer:
    """Take a user's key for this transaction, or return the answer that was given under it; raises KeyReused.

    A request under the same key that is still under way is waited for: when it commits, its answer is this one's too;
    when it fails, nothing was done and this one does it.
    """
    await repository.delete_expired(session, account_id)
    taken = await repository.insert_key(session, account_id, user_id, key, fingerprint)
    if taken is not None:
        return IdempotencyRecord(session, taken, secrets)
    kept = await repository.find(session, user_id, key)
    if kept is None or kept.fingerprint != fingerprint or kept.status is None or kept.encrypted_body is None:
        raise KeyReused("This Idempotency-Key was used for another request. Use a new key.")
    return Answer(kept.status, kept.headers or {}, secrets.decrypt(kept.encrypted_body).encode("latin-1"))


def fingerprint_of(parts: Iterable[bytes]) -> str:
    """Return the digest of what is asked; each part counts where it begins and ends."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()

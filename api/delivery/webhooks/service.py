"""Finds the workspace of a pushed request, checks its credentials and stores it."""

import base64
import hmac
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from api.accounts.workspaces import service as workspaces
from api.accounts.workspaces.service import WEBHOOK_USER
from api.delivery.events import service as events
from api.delivery.webhooks import repository
from api.delivery.webhooks.repository import Delivery
from api.http.errors import NotFound, Unauthorized
from database import jobs
from database.secrets import SecretBox, hash_credential
from database.tenancy import Scope, transaction
from domain.job_types import APPLY_PROVIDER_EVENTS
from everlytic.webhooks import verify_basic_auth

__all__ = ["Delivery", "Receiver", "ReceiverCache", "require_basic_auth", "store_deliveries"]

CACHE_SECONDS = 10.0
MAX_CACHED = 10_000
MAX_STATEMENT_BYTES = 32 * 1024 * 1024
"""The total size of the bodies that one statement stores."""


async def store_deliveries(session: AsyncSession, workspace_id: UUID, deliveries: Sequence[Delivery]) -> list[None]:
    """Store pushed requests as they were received, and enqueue the job that applies them unless one is due already."""
    await events.lock_intake_shared(session, workspace_id)
    now, is_job_due = deliveries[-1].received_at, False
    for part in _split_by_size(deliveries):
        is_job_due = await repository.store_deliveries(
            session, workspace_id, part, job_type=APPLY_PROVIDER_EVENTS, now=now
        )
    if not is_job_due:
        await jobs.enqueue(session, APPLY_PROVIDER_EVENTS, workspace_id, [jobs.Job(now)])
    return [None] * len(deliveries)


def _split_by_size(deliveries: Sequence[Delivery]) -> Iterator[Sequence[Delivery]]:
    """Yield deliveries in order, in parts that one statement can store."""
    start = size = 0
    for index, delivery in enumerate(deliveries):
        if index > start and size + len(delivery.body) > MAX_STATEMENT_BYTES:
            yield deliveries[start:index]
            start, size = index, 0
        size += len(delivery.body)
    yield deliveries[start:]


@dataclass(frozen=True, slots=True)
class Receiver:
    """The workspace of a webhook token, and the password that its requests must have."""

    workspace_id: UUID
    password: str
    authorization: bytes
    """The Authorization header in its usual form."""


class ReceiverCache:
    """Looks up webhook tokens and caches each for a few seconds, so that most requests need no query."""

    def __init__(
        self, pool: AsyncEngine, secrets: SecretBox, read_monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._pool, self._secrets, self._read_monotonic = pool, secrets, read_monotonic
        self._cache: dict[str, tuple[float, Receiver]] = {}

    async def find(self, token: str) -> Receiver:
        """Return the receiver of a token; raises NotFound."""
        token_hash, now = hash_credential(token), self._read_monotonic()
        cached = self._cache.get(token_hash)
        if cached is not None and now - cached[0] < CACHE_SECONDS:
            return cached[1]
        if cached is not None:
            # Concurrent requests use the expired entry while this one reads it again.
            self._cache[token_hash] = (now, cached[1])
        try:
            async with transaction(self._pool, Scope(credential_hash=token_hash)) as session:
                connection = await workspaces.authenticate_webhook_token(session, token_hash)
        except NotFound:
            self._cache.pop(token_hash, None)
            raise
        password = self._secrets.decrypt(connection.encrypted_webhook_password)
        authorization = b"Basic " + base64.b64encode(f"{WEBHOOK_USER}:{password}".encode())
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        self._cache[token_hash] = (now, Receiver(connection.workspace_id, password, authorization))
        return self._cache[token_hash][1]


def require_basic_auth(receiver: Receiver, authorization: str | None) -> None:
    """Raise Unauthorized unless a request has the credentials that its webhook was registered with."""
    given = (authorization or "").encode("latin-1", "replace")
    if not hmac.compare_digest(given, receiver.authorization) and not verify_basic_auth(
        authorization, WEBHOOK_USER, receiver.password
    ):
        raise Unauthorized("Send the credentials that this webhook was registered with.")

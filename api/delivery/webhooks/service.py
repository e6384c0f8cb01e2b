"""For whom a pushed request is meant, and whether it may be believed."""

import base64
import hmac
import time
from collections.abc import Iterator, Sequence
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
from database.secrets import SecretBox, credential_hash
from database.tenancy import Scope, transaction
from everlytic.webhooks import matches_basic

__all__ = ["Delivery", "Receiver", "Receivers", "require_basic", "store"]

REMEMBER_SECONDS = 10.0
MOST_REMEMBERED = 10_000
MOST_BYTES_AT_ONCE = 32 * 1024 * 1024
"""Of bodies that one statement stores."""

APPLY_PROVIDER_EVENTS = "apply_provider_events"


async def store(session: AsyncSession, workspace_id: UUID, deliveries: Sequence[Delivery]) -> list[None]:
    """Store pushed requests as they came, and have them applied: by the job that waits for it already, if one does."""
    await events.hold_intake(session, workspace_id)
    now, is_awaited = deliveries[-1].received_at, False
    for some in _parts(deliveries):
        is_awaited = await repository.store(session, workspace_id, some, job_type=APPLY_PROVIDER_EVENTS, now=now)
    if not is_awaited:
        await jobs.enqueue(session, APPLY_PROVIDER_EVENTS, workspace_id, [jobs.Job(now)])
    return [None] * len(deliveries)


def _parts(deliveries: Sequence[Delivery]) -> Iterator[Sequence[Delivery]]:
    """Yield deliveries in their order, as many at once as a statement may carry."""
    start = size = 0
    for index, delivery in enumerate(deliveries):
        if index > start and size + len(delivery.body) > MOST_BYTES_AT_ONCE:
            yield deliveries[start:index]
            start, size = index, 0
        size += len(delivery.body)
    yield deliveries[start:]


@dataclass(frozen=True, slots=True)
class Receiver:
    """The workspace behind a webhook token, and the password its pushes must carry."""

    workspace_id: UUID
    password: str
    authorization: bytes
    """The header as nearly everybody writes it."""


class Receivers:
    """Looks webhook tokens up, remembering each for a few seconds, so that intake costs no look-up per request."""

    def __init__(self, pool: AsyncEngine, secrets: SecretBox) -> None:
        self._pool, self._secrets = pool, secrets
        self._known: dict[str, tuple[float, Receiver]] = {}

    async def find(self, token: str) -> Receiver:
        """Return whom a token stands for; raises NotFound."""
        token_hash, now = credential_hash(token), time.monotonic()
        remembered = self._known.get(token_hash)
        if remembered is not None and now - remembered[0] < REMEMBER_SECONDS:
            return remembered[1]
        if remembered is not None:
            # Others go by what is known while this one asks.
            self._known[token_hash] = (now, remembered[1])
        try:
            async with transaction(self._pool, Scope(credential_hash=token_hash)) as session:
                connection = await workspaces.enter_by_webhook_token(session, token_hash)
        except NotFound:
            self._known.pop(token_hash, None)
            raise
        password = self._secrets.decrypt(connection.encrypted_webhook_password)
        usual = b"Basic " + base64.b64encode(f"{WEBHOOK_USER}:{password}".encode())
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[token_hash] = (now, Receiver(connection.workspace_id, password, usual))
        return self._known[token_hash][1]


def require_basic(receiver: Receiver, authorization: str | None) -> None:
    """Raise Unauthorized unless a push carries the credentials its webhook was registered with."""
    given = (authorization or "").encode("latin-1", "replace")
    if not hmac.compare_digest(given, receiver.authorization) and not matches_basic(
        authorization, WEBHOOK_USER, receiver.password
    ):
        raise Unauthorized("The webhook's credentials are not the ones it was registered with.")

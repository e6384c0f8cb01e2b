"""For whom a pushed request is meant, and whether it may be believed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from api.errors import Unauthorized
from api.webhooks import repository
from api.workspaces import service as workspaces
from api.workspaces.service import WEBHOOK_USER
from database import jobs
from database.secrets import SecretBox, credential_hash
from database.tenancy import Scope, transaction
from everlytic.webhooks import matches_basic

REMEMBER_SECONDS = 10.0
MOST_REMEMBERED = 10_000


APPLY_PROVIDER_EVENTS = "apply_provider_events"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One pushed request, as it came."""

    content_type: str
    body: bytes
    received_at: datetime


async def store(session: AsyncSession, workspace_id: UUID, deliveries: Sequence[Delivery]) -> list[None]:
    """Store pushed requests as they came, and have them applied."""
    rows = [{"content_type": one.content_type, "body": one.body, "received_at": one.received_at} for one in deliveries]
    await repository.add_deliveries(session, workspace_id, rows)
    await jobs.enqueue(session, APPLY_PROVIDER_EVENTS, workspace_id, [jobs.Job(deliveries[-1].received_at)])
    return [None] * len(deliveries)


@dataclass(frozen=True, slots=True)
class Receiver:
    """The workspace behind a webhook token, and the password its pushes must carry."""

    workspace_id: UUID
    password: str


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
        async with transaction(self._pool, Scope(credential_hash=token_hash)) as session:
            connection = await workspaces.enter_by_webhook_token(session, token_hash)
        receiver = Receiver(connection.workspace_id, self._secrets.decrypt(connection.encrypted_webhook_password))
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[token_hash] = (now, receiver)
        return receiver


def require_basic(receiver: Receiver, authorization: str | None) -> None:
    """Raise Unauthorized unless a push carries the credentials its webhook was registered with."""
    if not matches_basic(authorization, WEBHOOK_USER, receiver.password):
        raise Unauthorized("The webhook's credentials are not the ones it was registered with.")

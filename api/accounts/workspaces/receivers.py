"""The workspaces behind the tokens of webhooks, for endpoints that providers call."""

import base64
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.workspaces import service
from api.accounts.workspaces.service import WEBHOOK_USER
from api.http.dependencies import ServicesDep
from api.http.errors import NotFound, Unauthorized
from database.secrets import SecretBox, hash_credential
from database.tenancy import Scope, transaction
from everlytic.webhooks import verify_basic_auth

CACHE_SECONDS = 10.0
MAX_CACHED = 10_000


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
                connection = await service.authenticate_webhook_token(session, token_hash)
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


async def get_receiver_cache(request: Request, services: ServicesDep) -> ReceiverCache:
    """Return the cache of webhook tokens that all requests of the process share."""
    state = request.app.state
    if not hasattr(state, "receivers"):
        state.receivers = ReceiverCache(services.pool, services.secrets)
    receivers: ReceiverCache = state.receivers
    return receivers


ReceiversDep = Annotated[ReceiverCache, Depends(get_receiver_cache)]

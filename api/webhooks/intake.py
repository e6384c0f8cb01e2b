"""Storing pushed requests: gathered for a few milliseconds, committed together, answered after the commit."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from api.webhooks import repository
from database import jobs
from database.tenancy import Scope, transaction

APPLY_PROVIDER_EVENTS = "apply_provider_events"
MOST_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Delivery:
    """One pushed request, as it came."""

    workspace_id: UUID
    content_type: str
    body: bytes
    received_at: datetime


class Intake:
    """Takes deliveries from many requests and stores them in few transactions; one per process."""

    def __init__(self, pool: AsyncEngine, flush_seconds: float) -> None:
        self._pool, self._flush_seconds = pool, flush_seconds
        self._waiting: list[tuple[Delivery, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def store(self, delivery: Delivery) -> None:
        """Return once the delivery is committed; raises what the commit raised."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((delivery, stored))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        await stored

    async def _flush(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._flush_seconds)
            batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            for workspace_id in dict.fromkeys(delivery.workspace_id for delivery, _ in batch):
                mine = [one for one in batch if one[0].workspace_id == workspace_id]
                try:
                    await self._commit(workspace_id, [delivery for delivery, _ in mine])
                except Exception as error:  # noqa: BLE001 - each request that waits answers for its own delivery
                    _settle((stored for _, stored in mine), error)
                else:
                    _settle(stored for _, stored in mine)

    async def _commit(self, workspace_id: UUID, deliveries: list[Delivery]) -> None:
        rows = [
            {"content_type": one.content_type, "body": one.body, "received_at": one.received_at} for one in deliveries
        ]
        async with transaction(self._pool, Scope(workspace_id=workspace_id)) as session:
            await repository.add_deliveries(session, workspace_id, rows)
            apply = jobs.Job(deliveries[-1].received_at)
            await jobs.enqueue(session, APPLY_PROVIDER_EVENTS, workspace_id, [apply])


def _settle(waiting: Iterable[asyncio.Future[None]], error: Exception | None = None) -> None:
    for stored in waiting:
        if stored.done():
            continue
        if error is None:
            stored.set_result(None)
        else:
            stored.set_exception(error)

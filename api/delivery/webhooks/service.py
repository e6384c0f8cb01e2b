"""Stores what the provider pushes."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.events import service as events
from api.delivery.webhooks import repository
from api.delivery.webhooks.repository import Delivery
from database import jobs
from domain.job_types import APPLY_PROVIDER_EVENTS

__all__ = ["Delivery", "store_deliveries"]

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

"""The SQL of pushed requests."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from database.direct import fetch

# A job that is due and unclaimed will see what is stored here: whoever claims it waits for this transaction's end.
_STORE = """
WITH stored AS (
  INSERT INTO everlytic.webhook_deliveries (workspace_id, content_type, body, received_at)
  SELECT %s, push.content_type, push.body, push.received_at
    FROM unnest(%s::text[], %b::bytea[], %s::timestamptz[]) AS push (content_type, body, received_at)
)
SELECT EXISTS (
  SELECT FROM app.scheduled_jobs
   WHERE workspace_id = %s AND job_type = %s AND status = 'pending' AND run_at <= %s) AS is_awaited
"""


class Delivery(NamedTuple):
    """One pushed request, as it came."""

    content_type: str
    body: bytes
    received_at: datetime


async def store(
    session: AsyncSession, workspace_id: UUID, deliveries: Sequence[Delivery], *, job_type: str, now: datetime
) -> bool:
    """Insert pushed requests as they came; returns whether a job of a type is due already and nobody has begun it."""
    columns = map(list, zip(*deliveries, strict=True))
    (row,) = await fetch(session, _STORE, [workspace_id, *columns, workspace_id, job_type, now])
    return bool(row["is_awaited"])

"""The SQL of pushed requests."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from database.direct import fetch

# A due job that is not claimed yet will apply these rows, because it waits until this transaction ends.
_STORE_DELIVERIES = """
WITH stored AS (
  INSERT INTO everlytic.webhook_deliveries (workspace_id, content_type, body, received_at)
  SELECT %s, push.content_type, push.body, push.received_at
    FROM unnest(%s::text[], %b::bytea[], %s::timestamptz[]) AS push (content_type, body, received_at)
)
SELECT EXISTS (
  SELECT FROM app.scheduled_jobs
   WHERE workspace_id = %s AND job_type = %s AND status = 'pending' AND run_at <= %s) AS is_job_due
"""


class Delivery(NamedTuple):
    """One pushed request, as it was received."""

    content_type: str
    body: bytes
    received_at: datetime


async def store_deliveries(
    session: AsyncSession, workspace_id: UUID, deliveries: Sequence[Delivery], *, job_type: str, now: datetime
) -> bool:
    """Insert pushed requests as they were received; returns whether a job of the type is due and not started."""
    columns = map(list, zip(*deliveries, strict=True))
    (row,) = await fetch(session, _STORE_DELIVERIES, [workspace_id, *columns, workspace_id, job_type, now])
    return bool(row["is_job_due"])

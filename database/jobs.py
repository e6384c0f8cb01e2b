"""Putting work on the queue, by name, within the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from database.models.jobs import ScheduledJob

DEFAULT_MAX_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work to be done at or after `due`; with a `dedupe_key` it is put on the queue once, ever."""

    due: datetime
    payload: dict[str, Any] = field(default_factory=dict)
    dedupe_key: str | None = None


async def enqueue(
    session: AsyncSession,
    job_type: str,
    workspace_id: UUID,
    jobs: Sequence[Job],
    *,
    max_attempts: int = DEFAULT_MAX_ATTEMPTS,
) -> int:
    """Put `jobs` on the queue in the session's transaction and return how many were new; one statement for all."""
    if not jobs:
        return 0
    statement = insert(ScheduledJob).on_conflict_do_nothing(index_elements=["workspace_id", "job_type", "dedupe_key"])
    rows = [
        {
            "workspace_id": workspace_id,
            "job_type": job_type,
            "payload": job.payload,
            "scheduled_for": job.due,
            "run_at": job.due,
            "dedupe_key": job.dedupe_key,
            "max_attempts": max_attempts,
        }
        for job in jobs
    ]
    result = await session.execute(statement.returning(ScheduledJob.id), rows)
    return len(result.all())


async def enqueue_each(
    session: AsyncSession,
    job_type: str,
    workspace_id: UUID,
    work: Select[tuple[dict[str, Any], datetime]],
    *,
    max_attempts: int = DEFAULT_MAX_ATTEMPTS,
) -> None:
    """Put one job on the queue for each row of `work`, a select of (payload, due), without leaving the database."""
    due = work.subquery("due")
    columns = list(due.c)
    source = select(literal(workspace_id), literal(job_type), columns[0], columns[1], columns[1], literal(max_attempts))
    names = ["workspace_id", "job_type", "payload", "scheduled_for", "run_at", "max_attempts"]
    await session.execute(insert(ScheduledJob).from_select(names, source))

"""What people may do with background work: look at it, try it again, call it off."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.http.errors import Conflict, NotFound
from api.http.pagination import PageRequest
from api.jobs import repository
from api.jobs.schemas import JobFilter
from database.jobs import DEFAULT_MAX_ATTEMPTS
from database.models import JobStatus, ScheduledJob
from domain.job import JobEvent, next_status, source_statuses

MOST_AT_ONCE = 10_000


async def list_jobs(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, wanted: JobFilter
) -> Sequence[ScheduledJob]:
    """Return the workspace's jobs, newest first, one more than the page holds."""
    return await repository.find_jobs(session, workspace_id, page, wanted)


async def get_job(session: AsyncSession, workspace_id: UUID, job_id: UUID) -> ScheduledJob:
    """Return a job of the workspace; raises NotFound."""
    job = await repository.find_job(session, workspace_id, job_id)
    if job is None:
        raise NotFound("There is no such job.")
    return job


async def retry_job(session: AsyncSession, workspace_id: UUID, job_id: UUID, now: datetime) -> ScheduledJob:
    """Put a failed or cancelled job back on the queue with fresh attempts; raises NotFound and InvalidTransition."""
    values = repository.enqueue_again(now, DEFAULT_MAX_ATTEMPTS)
    return await _move(session, workspace_id, job_id, JobEvent.RETRIED, values)


async def retry_jobs(session: AsyncSession, workspace_id: UUID, wanted: JobFilter, now: datetime) -> tuple[int, int]:
    """Put up to `MOST_AT_ONCE` failed or cancelled jobs back on the queue; returns how many, and how many are left."""
    assert wanted.status in source_statuses(JobEvent.RETRIED)
    values = repository.enqueue_again(now, DEFAULT_MAX_ATTEMPTS)
    moved = await repository.apply_event_to_all(session, workspace_id, wanted, values, most=MOST_AT_ONCE)
    return moved, await repository.count_jobs(session, workspace_id, wanted)


async def cancel_job(session: AsyncSession, workspace_id: UUID, job_id: UUID, now: datetime) -> ScheduledJob:
    """Call off a job that has not started; raises NotFound and InvalidTransition."""
    values = {"status": JobStatus.CANCELLED, "completed_at": now}
    return await _move(session, workspace_id, job_id, JobEvent.CANCELLED, values)


async def _move(
    session: AsyncSession, workspace_id: UUID, job_id: UUID, event: JobEvent, values: dict[str, Any]
) -> ScheduledJob:
    moved = await repository.apply_event(session, workspace_id, job_id, source_statuses(event), values)
    if moved is None:
        job = await get_job(session, workspace_id, job_id)
        next_status(JobStatus(job.status), event)
        raise Conflict("The job has just changed. Read it again.")
    return moved

"""Lists, retries and cancels background jobs."""

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

MAX_RETRIED = 10_000


async def list_jobs(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, job_filter: JobFilter
) -> Sequence[ScheduledJob]:
    """Return the workspace's jobs, newest first, one more than the page holds."""
    return await repository.find_jobs(session, workspace_id, page, job_filter)


async def get_job(session: AsyncSession, workspace_id: UUID, job_id: UUID) -> ScheduledJob:
    """Return a job of the workspace; raises NotFound."""
    job = await repository.find_job(session, workspace_id, job_id)
    if job is None:
        raise NotFound("There is no such job.")
    return job


async def retry_job(session: AsyncSession, workspace_id: UUID, job_id: UUID, now: datetime) -> ScheduledJob:
    """Put a failed or cancelled job back on the queue with fresh attempts; raises NotFound and InvalidTransition."""
    values = repository.requeued_values(now, DEFAULT_MAX_ATTEMPTS)
    return await _update(session, workspace_id, job_id, JobEvent.RETRIED, values)


async def retry_jobs(
    session: AsyncSession, workspace_id: UUID, job_filter: JobFilter, now: datetime
) -> tuple[int, int]:
    """Put up to `MAX_RETRIED` failed or cancelled jobs back on the queue; returns how many, and how many remain."""
    assert job_filter.status in source_statuses(JobEvent.RETRIED)
    values = repository.requeued_values(now, DEFAULT_MAX_ATTEMPTS)
    retried = await repository.apply_event_to_all(session, workspace_id, job_filter, values, most=MAX_RETRIED)
    return retried, await repository.count_jobs(session, workspace_id, job_filter)


async def cancel_job(session: AsyncSession, workspace_id: UUID, job_id: UUID, now: datetime) -> ScheduledJob:
    """Cancel a job that has not started; raises NotFound and InvalidTransition."""
    values = {"status": JobStatus.CANCELLED, "completed_at": now}
    return await _update(session, workspace_id, job_id, JobEvent.CANCELLED, values)


async def _update(
    session: AsyncSession, workspace_id: UUID, job_id: UUID, event: JobEvent, values: dict[str, Any]
) -> ScheduledJob:
    job = await repository.apply_event(session, workspace_id, job_id, source_statuses(event), values)
    if job is None:
        job = await get_job(session, workspace_id, job_id)
        next_status(JobStatus(job.status), event)
        raise Conflict("The job has just changed. Read it again.")
    return job

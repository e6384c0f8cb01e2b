"""What people may do with background work: look at it, try it again, call it off."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.errors import Conflict, NotFound
from api.jobs import repository
from api.pagination import PageRequest
from database.jobs import DEFAULT_MAX_ATTEMPTS
from database.models import JobStatus, ScheduledJob


async def list_jobs(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, *, job_type: str | None, status: JobStatus | None
) -> Sequence[ScheduledJob]:
    """Return the workspace's jobs, newest first, one more than the page holds."""
    return await repository.find_jobs(session, workspace_id, page, job_type=job_type, status=status)


async def get_job(session: AsyncSession, job_id: UUID) -> ScheduledJob:
    """Return a job of the workspace; raises NotFound."""
    job = await repository.find_job(session, job_id)
    if job is None:
        raise NotFound("There is no such job.")
    return job


async def retry_job(session: AsyncSession, job_id: UUID, now: datetime) -> ScheduledJob:
    """Put a failed or cancelled job back on the queue with fresh attempts; raises NotFound and Conflict.

    Attempts go on counting: they fence off a lost worker that still thinks it holds the job.
    """
    job = await get_job(session, job_id)
    values = {
        "status": JobStatus.PENDING,
        "run_at": now,
        "max_attempts": job.attempts + DEFAULT_MAX_ATTEMPTS,
        "completed_at": None,
    }
    return await _move(session, job, (JobStatus.FAILED, JobStatus.CANCELLED), values, "tried again")


async def cancel_job(session: AsyncSession, job_id: UUID, now: datetime) -> ScheduledJob:
    """Call off a job that has not started; raises NotFound and Conflict."""
    job = await get_job(session, job_id)
    values = {"status": JobStatus.CANCELLED, "completed_at": now}
    return await _move(session, job, (JobStatus.PENDING,), values, "cancelled")


async def _move(
    session: AsyncSession, job: ScheduledJob, sources: Sequence[JobStatus], values: dict[str, Any], what: str
) -> ScheduledJob:
    moved = await repository.move_job(session, job.id, sources, values)
    if moved is None:
        await session.refresh(job)
        raise Conflict(f"The job is {job.status}; it can be {what} only while it is {' or '.join(sources)}.")
    return moved

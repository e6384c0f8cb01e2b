"""The SQL of claims and the runs of jobs that made them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_HELD = text(
    """
    SELECT attempt.draft_id
      FROM unnest(CAST(:draft_ids AS uuid[]), CAST(:job_ids AS uuid[]), CAST(:attempts AS int[]))
        AS run (draft_id, job_id, attempt)
      JOIN app.send_attempts AS attempt ON attempt.draft_id = run.draft_id AND attempt.job_id = run.job_id
      JOIN app.scheduled_jobs AS job ON job.id = run.job_id AND job.attempts = run.attempt
     WHERE attempt.workspace_id = :workspace_id AND attempt.outcome = 'claimed'
       AND job.workspace_id = :workspace_id AND job.status = 'running'
    """
)


@dataclass(frozen=True, slots=True)
class ClaimRun:
    """A run of a job, which is its attempt number, that claimed a draft."""

    draft_id: UUID
    job_id: UUID
    attempt: int


async def list_held_drafts(session: AsyncSession, workspace_id: UUID, runs: Sequence[ClaimRun]) -> Collection[UUID]:
    """Return the drafts whose claim is still open and of the run given, which still has its job."""
    parameters = {
        "workspace_id": workspace_id,
        "draft_ids": [run.draft_id for run in runs],
        "job_ids": [run.job_id for run in runs],
        "attempts": [run.attempt for run in runs],
    }
    return set((await session.scalars(_HELD, parameters)).all())

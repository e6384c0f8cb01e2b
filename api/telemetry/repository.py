"""SQL of the queue's metrics. The engine's role reads all workspaces, and only from partial indexes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

MAX_COUNTED = 10_000
"""Counts stop here, so that a scrape with a million jobs costs no more than one with this many."""
MAX_WORKSPACES = 2_000
"""The most workspaces per job type that are counted."""

# Only an index scan can stop at a limit. A bitmap scan reads every matching row before it returns the first.
_SET_LIMITS = text(
    "SELECT set_config('statement_timeout', :milliseconds, true), set_config('enable_seqscan', 'off', true),"
    " set_config('enable_bitmapscan', 'off', true), set_config('jit', 'off', true)"
)

# The recursive part steps from one job type to the next. It also finds types without a lane, whose jobs never run.
_COUNT_WAITING = text(
    """
    WITH RECURSIVE pending (job_type) AS (
      (SELECT job_type FROM app.scheduled_jobs WHERE status = 'pending' ORDER BY job_type LIMIT 1)
      UNION ALL
      SELECT (SELECT job.job_type FROM app.scheduled_jobs AS job
               WHERE job.status = 'pending' AND job.job_type > pending.job_type ORDER BY job.job_type LIMIT 1)
        FROM pending WHERE pending.job_type IS NOT NULL
    ),
    lane AS (
      SELECT unnest(CAST(:job_types AS text[])) AS job_type
      UNION
      SELECT job_type FROM pending WHERE job_type IS NOT NULL
    )
    SELECT lane.job_type, due.jobs AS due, due.oldest, later.jobs AS later
      FROM lane,
           LATERAL (SELECT count(*) AS jobs, min(run_at) AS oldest
                      FROM (SELECT run_at FROM app.scheduled_jobs
                             WHERE status = 'pending' AND job_type = lane.job_type AND run_at <= :now
                             ORDER BY run_at LIMIT :most) AS counted) AS due,
           LATERAL (SELECT count(*) AS jobs
                      FROM (SELECT run_at FROM app.scheduled_jobs
                             WHERE status = 'pending' AND job_type = lane.job_type AND run_at > :now
                             ORDER BY run_at LIMIT :most) AS counted) AS later
    """
)

# The recursive part steps from one workspace to the next, so that one with very many jobs does not hide the others.
# ORDER BY workspace_id, run_at is the whole order of the partial index of pending jobs. With workspace_id alone the
# planner takes the index of dedupe keys and reads every ended job.
_COUNT_SHARES = text(
    """
    WITH RECURSIVE waiting (workspace_id) AS (
      (SELECT workspace_id FROM app.scheduled_jobs
        WHERE status = 'pending' AND job_type = :job_type ORDER BY workspace_id, run_at LIMIT 1)
      UNION ALL
      SELECT (SELECT job.workspace_id FROM app.scheduled_jobs AS job
               WHERE job.status = 'pending' AND job.job_type = :job_type AND job.workspace_id > waiting.workspace_id
               ORDER BY job.workspace_id, job.run_at LIMIT 1)
        FROM waiting WHERE waiting.workspace_id IS NOT NULL
    )
    SELECT count(*) AS workspaces, coalesce(max(due.jobs) / sum(due.jobs), 0) AS largest_share
      FROM (SELECT workspace_id FROM waiting WHERE workspace_id IS NOT NULL LIMIT :workspaces) AS visited,
           LATERAL (SELECT count(*) AS jobs
                      FROM (SELECT run_at FROM app.scheduled_jobs
                             WHERE status = 'pending' AND job_type = :job_type
                               AND workspace_id = visited.workspace_id AND run_at <= :now
                             ORDER BY run_at LIMIT :most) AS counted) AS due
     WHERE due.jobs > 0
    """
)

_COUNT_RUNNING = text(
    "SELECT job_type, count(*) AS jobs FROM app.scheduled_jobs WHERE status = 'running' GROUP BY job_type"
)

_COUNT_FAILED = text(
    "SELECT job_type, count(*) AS jobs FROM app.scheduled_jobs WHERE status = 'failed' AND completed_at > :since"
    " GROUP BY job_type"
)

_COUNT_UNKNOWN_SENDS = text("SELECT number, oldest FROM app.unknown_sends()")

_COUNT_WORKERS = text("SELECT count(*) FROM app.job_workers WHERE beat_at > now() - make_interval(secs => :within)")


async def set_limits(session: AsyncSession, seconds: float) -> None:
    """Allow only index scans in the transaction, and set its statement timeout to `seconds`."""
    await session.execute(_SET_LIMITS, {"milliseconds": str(int(seconds * 1000))})


async def count_waiting(session: AsyncSession, job_types: Sequence[str], now: datetime) -> Sequence[Row[Any]]:
    """Return (job_type, due, oldest, later) of the given and all pending types; counts stop at MAX_COUNTED."""
    parameters = {"job_types": list(job_types), "now": now, "most": MAX_COUNTED}
    return (await session.execute(_COUNT_WAITING, parameters)).all()


async def count_shares(session: AsyncSession, job_type: str, now: datetime) -> Row[Any]:
    """Return the number of `workspaces` with due jobs of a type, and the `largest_share` (0 to 1) of one of them."""
    parameters = {"job_type": job_type, "now": now, "most": MAX_COUNTED, "workspaces": MAX_WORKSPACES}
    return (await session.execute(_COUNT_SHARES, parameters)).one()


async def count_running(session: AsyncSession) -> dict[str, int]:
    """Return the number of running jobs of each type."""
    return {row.job_type: row.jobs for row in await session.execute(_COUNT_RUNNING)}


async def count_failed(session: AsyncSession, since: datetime) -> dict[str, int]:
    """Return the number of jobs of each type that failed permanently since then."""
    return {row.job_type: row.jobs for row in await session.execute(_COUNT_FAILED, {"since": since})}


async def count_unknown_sends(session: AsyncSession) -> Row[Any]:
    """Return the `number` of sends with an unknown outcome, and when the `oldest` of them was claimed."""
    return (await session.execute(_COUNT_UNKNOWN_SENDS)).one()


async def count_workers(session: AsyncSession, within_seconds: float) -> int:
    """Return the number of workers with a heartbeat in the last seconds."""
    return await session.scalar(_COUNT_WORKERS, {"within": within_seconds}) or 0

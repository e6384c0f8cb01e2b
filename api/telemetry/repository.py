"""The SQL behind the queue's gauges: read by the engine's role, across workspaces, from partial indexes alone."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

MOST_COUNTED = 10_000
"""Where counting stops: one scrape costs the same with a million jobs as with this many."""
MOST_WORKSPACES = 2_000
"""How many workspaces of a job type are looked at."""

# Counting stops early only along an index: a bitmap is made of all that fits before the first row of it is counted.
_ENTER = text(
    "SELECT set_config('statement_timeout', :milliseconds, true), set_config('enable_seqscan', 'off', true),"
    " set_config('enable_bitmapscan', 'off', true), set_config('jit', 'off', true)"
)

# Types without a lane are found as well, by stepping from one to the next: nobody would ever do their jobs.
_WAITING = text(
    """
    WITH RECURSIVE found (job_type) AS (
      (SELECT job_type FROM app.scheduled_jobs WHERE status = 'pending' ORDER BY job_type LIMIT 1)
      UNION ALL
      SELECT (SELECT job.job_type FROM app.scheduled_jobs AS job
               WHERE job.status = 'pending' AND job.job_type > found.job_type ORDER BY job.job_type LIMIT 1)
        FROM found WHERE found.job_type IS NOT NULL
    ),
    lane AS (
      SELECT unnest(CAST(:job_types AS text[])) AS job_type
      UNION
      SELECT job_type FROM found WHERE job_type IS NOT NULL
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

# From workspace to workspace along their lines, so that one with very many jobs does not hide the others. Only their
# index has this whole order: by less, the planner takes that of the dedupe keys, and with it all that has ended.
_SHARES = text(
    """
    WITH RECURSIVE line (workspace_id) AS (
      (SELECT workspace_id FROM app.scheduled_jobs
        WHERE status = 'pending' AND job_type = :job_type ORDER BY workspace_id, run_at LIMIT 1)
      UNION ALL
      SELECT (SELECT job.workspace_id FROM app.scheduled_jobs AS job
               WHERE job.status = 'pending' AND job.job_type = :job_type AND job.workspace_id > line.workspace_id
               ORDER BY job.workspace_id, job.run_at LIMIT 1)
        FROM line WHERE line.workspace_id IS NOT NULL
    )
    SELECT count(*) AS workspaces, coalesce(max(due.jobs) / sum(due.jobs), 0) AS largest_share
      FROM (SELECT workspace_id FROM line WHERE workspace_id IS NOT NULL LIMIT :workspaces) AS visited,
           LATERAL (SELECT count(*) AS jobs
                      FROM (SELECT run_at FROM app.scheduled_jobs
                             WHERE status = 'pending' AND job_type = :job_type
                               AND workspace_id = visited.workspace_id AND run_at <= :now
                             ORDER BY run_at LIMIT :most) AS counted) AS due
     WHERE due.jobs > 0
    """
)

_RUNNING = text("SELECT job_type, count(*) AS jobs FROM app.scheduled_jobs WHERE status = 'running' GROUP BY job_type")

_FAILED = text(
    "SELECT job_type, count(*) AS jobs FROM app.scheduled_jobs WHERE status = 'failed' AND completed_at > :since"
    " GROUP BY job_type"
)

_UNKNOWN = text("SELECT number, oldest FROM app.unknown_sends()")

_ALIVE = text("SELECT count(*) FROM app.job_workers WHERE beat_at > now() - make_interval(secs => :within)")


async def bound(session: AsyncSession, seconds: float) -> None:
    """Keep the transaction to indexes, and end a statement of it that takes longer than `seconds`."""
    await session.execute(_ENTER, {"milliseconds": str(int(seconds * 1000))})


async def count_waiting(session: AsyncSession, job_types: Sequence[str], now: datetime) -> Sequence[Row[Any]]:
    """Return (job_type, due, oldest, later) of the given types and of all that wait; counts end at MOST_COUNTED."""
    parameters = {"job_types": list(job_types), "now": now, "most": MOST_COUNTED}
    return (await session.execute(_WAITING, parameters)).all()


async def count_shares(session: AsyncSession, job_type: str, now: datetime) -> Row[Any]:
    """Return in how many workspaces jobs of a type are due, and the share (0 to 1) of the one that has most."""
    parameters = {"job_type": job_type, "now": now, "most": MOST_COUNTED, "workspaces": MOST_WORKSPACES}
    return (await session.execute(_SHARES, parameters)).one()


async def count_running(session: AsyncSession) -> dict[str, int]:
    """Return how many jobs of each type run."""
    return {row.job_type: row.jobs for row in await session.execute(_RUNNING)}


async def count_failed(session: AsyncSession, since: datetime) -> dict[str, int]:
    """Return how many jobs of each type have failed for good since then."""
    return {row.job_type: row.jobs for row in await session.execute(_FAILED, {"since": since})}


async def count_unknown_sends(session: AsyncSession) -> Row[Any]:
    """Return the number of sends whose outcome nobody knows, and when the oldest of them was claimed (`oldest`)."""
    return (await session.execute(_UNKNOWN)).one()


async def count_workers(session: AsyncSession, within_seconds: float) -> int:
    """Return how many workers have said within the last seconds that they live."""
    return await session.scalar(_ALIVE, {"within": within_seconds}) or 0

"""The SQL of the job engine and of the public record of jobs."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import eq, ge, lt
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.pagination import PageRequest, paged
from api.jobs.schemas import JobFilter
from database.direct import fetch
from database.models import JobStatus, ScheduledJob

# The same as below for a type without any rate, as nearly all are, at half the price; with one it takes nothing.
_CLAIM_FREELY = """
WITH due AS (
  SELECT id FROM app.scheduled_jobs
   WHERE status = 'pending' AND job_type = %s AND run_at <= %s
     AND NOT EXISTS (SELECT FROM app.workspace_limits WHERE job_type = %s)
   ORDER BY run_at, id
   LIMIT %s
   FOR UPDATE SKIP LOCKED
)
UPDATE app.scheduled_jobs AS job
   SET status = 'running', attempts = job.attempts + 1, locked_by = %s, started_at = %s
  FROM due
 WHERE job.id = due.id
RETURNING job.id, job.workspace_id, job.payload, job.attempts, job.max_attempts, job.scheduled_for, job.run_at
"""

# The oldest that are due, over all workspaces; when that is all there are, whoever waits is seen.
_OLDEST = """
    due AS (
      SELECT id, workspace_id, run_at, paced, 1 AS turn
        FROM app.scheduled_jobs
       WHERE status = 'pending' AND job_type = :job_type AND run_at <= :now
       ORDER BY run_at, id
       LIMIT :window
       FOR UPDATE SKIP LOCKED
    )
"""

# When more are due than are seen, some workspaces behind each other, from where the last claim stopped, are asked for
# a few of theirs; the oldest fill what is left. So however many one of them has, the next is never far behind. In the
# whole order of their lines: by less, the planner takes the index of the dedupe keys, and with it all that has ended.
# A line is found by the status of its jobs too, by their index; each job's own is compared where its row is locked.
_CLAIM_ROTATION = """
    RECURSIVE line AS (
      (SELECT workspace_id FROM app.scheduled_jobs
        WHERE status = 'pending' AND job_type = :job_type AND workspace_id > :after
        ORDER BY workspace_id, run_at LIMIT 1)
      UNION ALL
      SELECT (SELECT job.workspace_id FROM app.scheduled_jobs AS job
               WHERE job.status = 'pending' AND job.job_type = :job_type AND job.workspace_id > line.workspace_id
               ORDER BY job.workspace_id, job.run_at LIMIT 1)
        FROM line WHERE line.workspace_id IS NOT NULL
    ),
    visited AS (SELECT workspace_id FROM line WHERE workspace_id IS NOT NULL LIMIT :visits),
    fair AS (
      SELECT job.id, job.workspace_id, job.run_at, job.paced
        FROM visited, LATERAL (
          SELECT id, workspace_id, run_at, paced FROM app.scheduled_jobs
           WHERE status = 'pending' AND job_type = :job_type AND workspace_id = visited.workspace_id AND run_at <= :now
           ORDER BY run_at, id
           LIMIT :share
           FOR UPDATE SKIP LOCKED) AS job
    ),
    oldest AS (
      SELECT id, workspace_id, run_at, paced
        FROM app.scheduled_jobs
       WHERE status = 'pending' AND job_type = :job_type AND run_at <= :now
       ORDER BY run_at, id
       LIMIT :window
       FOR UPDATE SKIP LOCKED
    ),
    due AS (
      SELECT id, workspace_id, run_at, paced, min(turn) AS turn
        FROM (SELECT *, 1 AS turn FROM fair UNION ALL SELECT *, 2 FROM oldest) AS both_ways
       GROUP BY id, workspace_id, run_at, paced
    )
"""

# The generic cell rate algorithm: of a workspace with a rate each start takes the next slot, `burst` of them at once.
# A job whose slot is to come is moved there, once, and is not looked at before; its slot is kept for it.
_START = """
    chosen AS (
      SELECT id, workspace_id, run_at, paced
        FROM (SELECT *, row_number() OVER (PARTITION BY turn, workspace_id ORDER BY run_at, id) AS nth
                FROM due) AS ranked
       ORDER BY turn, nth, run_at, id
       LIMIT :most
    ),
    rate AS (
      SELECT workspace_id, "interval", burst, greatest(theoretical_arrival_at, :now) AS arrival
        FROM app.workspace_limits
       WHERE job_type = :job_type AND workspace_id IN (SELECT workspace_id FROM chosen WHERE NOT paced)
       ORDER BY workspace_id
         FOR UPDATE
    ),
    slot AS (
      SELECT chosen.id, chosen.workspace_id,
             rate.arrival + rate."interval" * (row_number() OVER (
               PARTITION BY chosen.workspace_id ORDER BY chosen.run_at, chosen.id) - rate.burst) AS at
        FROM chosen JOIN rate USING (workspace_id)
       WHERE NOT chosen.paced
    ),
    taken AS (
      UPDATE app.workspace_limits AS workspace_limit
         SET theoretical_arrival_at = rate.arrival + rate."interval" * slots.number
        FROM rate JOIN (SELECT workspace_id, count(*) AS number FROM slot GROUP BY workspace_id) AS slots
             USING (workspace_id)
       WHERE workspace_limit.job_type = :job_type AND workspace_limit.workspace_id = rate.workspace_id
    ),
    moved AS (
      UPDATE app.scheduled_jobs AS job
         SET run_at = slot.at, paced = true
        FROM slot
       WHERE job.id = slot.id AND slot.at > :now
      RETURNING job.id
    ),
    started AS (
      UPDATE app.scheduled_jobs AS job
         SET status = 'running', attempts = job.attempts + 1, locked_by = :worker, started_at = :now
        FROM chosen
       WHERE job.id = chosen.id AND NOT EXISTS (SELECT FROM slot WHERE slot.id = chosen.id AND slot.at > :now)
      RETURNING job.id, job.workspace_id, job.payload, job.attempts, job.max_attempts, job.scheduled_for, job.run_at
    )
    SELECT total.seen, total.moved, total.last_visited, total.is_one_alone, total.has_rates, started.*
      FROM (SELECT (SELECT count(*) FROM {counted}) AS seen, (SELECT count(*) FROM moved) AS moved,
                   {last_visited} AS last_visited, (SELECT count(DISTINCT workspace_id) < 2 FROM due) AS is_one_alone,
                   EXISTS (SELECT FROM app.workspace_limits WHERE job_type = :job_type) AS has_rates) AS total
      LEFT JOIN started ON true
"""

_CLAIM = text(f"WITH {_OLDEST}, {_START}".format(counted="due", last_visited="CAST(NULL AS uuid)"))
_CLAIM_BY_ROTATION = text(
    f"WITH {_CLAIM_ROTATION}, {_START}".format(
        counted="oldest", last_visited="(SELECT workspace_id FROM visited ORDER BY workspace_id DESC LIMIT 1)"
    )
)
WINDOW = 2
"""How many times as many jobs are looked at as are wanted, to see whether more workspaces wait than get a turn."""
VISITS = 200
"""How many workspaces are asked in one claim when many jobs are due."""
SHARE = 4
"""How many jobs each of them may start before the others have had their turn."""

# Joined by id to rows the caller holds, never by locked_by: an index there made this quadratic once.
_FINISH = text(
    """
    UPDATE app.scheduled_jobs AS job
       SET status = done.status,
           run_at = coalesce(done.run_at, job.run_at),
           paced = job.paced AND done.status <> 'pending',
           last_error = done.error,
           max_attempts = job.max_attempts + done.granted,
           completed_at = CASE WHEN done.status = 'pending' THEN NULL ELSE CAST(:now AS timestamptz) END,
           locked_by = NULL
      FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS int[]), CAST(:statuses AS text[]),
                  CAST(:run_ats AS timestamptz[]), CAST(:errors AS text[]), CAST(:granted AS int[]))
        AS done (id, attempts, status, run_at, error, granted)
     WHERE job.id = done.id AND job.status = 'running' AND job.locked_by = :worker AND job.attempts = done.attempts
    """
)

_COMPLETE = """
UPDATE app.scheduled_jobs AS job
   SET status = 'completed', last_error = NULL, completed_at = %s, locked_by = NULL
  FROM unnest(%s::uuid[], %s::int[]) AS done (id, attempts)
 WHERE job.id = done.id AND job.status = 'running' AND job.locked_by = %s AND job.attempts = done.attempts
RETURNING job.id
"""

_NEXT_DUE = text(
    """
    SELECT lane.job_type, (
      SELECT min(run_at) FROM app.scheduled_jobs AS job WHERE job.status = 'pending' AND job.job_type = lane.job_type
    ) AS due
      FROM unnest(CAST(:job_types AS text[])) AS lane (job_type)
    """
)


@dataclass(slots=True)
class Ending:
    """How a claimed job ended; `granted` attempts are given back, for a job that was only put off."""

    job_id: UUID
    attempts: int
    status: JobStatus
    run_at: datetime | None = None
    error: str | None = None
    granted: int = 0


class Claimed(NamedTuple):
    """A job that was taken."""

    id: UUID
    workspace_id: UUID
    payload: dict[str, Any]
    attempts: int
    max_attempts: int
    scheduled_for: datetime
    run_at: datetime


class ClaimRequest(NamedTuple):
    """What a claim is for: up to `most` jobs of a type that are due, for a worker."""

    job_type: str
    worker: UUID
    now: datetime
    most: int


@dataclass(frozen=True, slots=True)
class Claim:
    """Jobs that were taken, and what the next claim should know."""

    jobs: Sequence[Claimed]
    is_crowded: bool
    """Whether more jobs are due than were looked at: workspaces then take turns."""
    moved: int = 0
    """How many jobs were over their workspace's rate and wait for their slots now."""
    last_visited: UUID | None = None
    """The workspace behind which the next turn begins."""
    is_one_alone: bool = False
    """Whether no two workspaces were seen that have due jobs: nobody waits for anybody."""
    has_rates: bool = False
    """Whether any workspace has a rate for this type."""


async def claim_freely(session: AsyncSession, wanted: ClaimRequest) -> Claim:
    """Take what is wanted, the oldest first; nothing at all where any workspace has a rate for the type."""
    job_type, worker, now, most = wanted
    rows = await fetch(session, _CLAIM_FREELY, [job_type, now, job_type, most, worker, now])
    return Claim([Claimed(**row) for row in rows], is_crowded=len(rows) == most)


async def claim_jobs(session: AsyncSession, wanted: ClaimRequest, in_turn_after: UUID | None = None) -> Claim:
    """Take what is wanted over all workspaces, each of which gets its turn; rates are kept exactly.

    The oldest first, as long as all that are due can be looked at. With `in_turn_after`, workspaces are asked one
    behind the other, from behind that one on.
    """
    if in_turn_after is None:
        statement, window, turn = _CLAIM, wanted.most * WINDOW, {}
    else:
        statement, window = _CLAIM_BY_ROTATION, wanted.most
        turn = {"after": in_turn_after, "visits": VISITS, "share": SHARE}
    found = (await session.execute(statement, {**wanted._asdict(), **turn, "window": window})).all()
    total = found[0]
    jobs = [Claimed(*row[5:]) for row in found if row.id is not None]
    return Claim(jobs, total.seen >= window, total.moved, total.last_visited, total.is_one_alone, total.has_rates)


async def finish_jobs(session: AsyncSession, worker: UUID, now: datetime, endings: Sequence[Ending]) -> None:
    """Record how jobs ended, those completed in one statement; a job the worker has lost meanwhile stays as it is."""
    completed = [one for one in endings if one.status is JobStatus.COMPLETED]
    others = [one for one in endings if one.status is not JobStatus.COMPLETED]
    if completed:
        ids, attempts = [one.job_id for one in completed], [one.attempts for one in completed]
        await fetch(session, _COMPLETE, [now, ids, attempts, worker])
    if not others:
        return
    await session.execute(
        _FINISH,
        {
            "worker": worker,
            "now": now,
            "ids": [one.job_id for one in others],
            "attempts": [one.attempts for one in others],
            "statuses": [one.status.value for one in others],
            "run_ats": [one.run_at for one in others],
            "errors": [one.error for one in others],
            "granted": [one.granted for one in others],
        },
    )


async def next_due(session: AsyncSession, job_types: Sequence[str]) -> dict[str, datetime | None]:
    """Return for each type when its earliest waiting job may run, None where none waits."""
    return {row.job_type: row.due for row in await session.execute(_NEXT_DUE, {"job_types": list(job_types)})}


async def find_jobs(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, wanted: JobFilter
) -> Sequence[ScheduledJob]:
    """Return the workspace's jobs, newest first, one more than the page holds."""
    statement = select(ScheduledJob).where(*_wanted(workspace_id, wanted))
    return (await session.scalars(paged(statement, ScheduledJob.id, page))).all()


def _wanted(workspace_id: UUID, wanted: JobFilter) -> list[ColumnElement[bool]]:
    conditions: tuple[tuple[Any, Callable[[Any, Any], ColumnElement[bool]], Any], ...] = (
        (ScheduledJob.workspace_id, eq, workspace_id),
        (ScheduledJob.job_type, eq, wanted.job_type),
        (ScheduledJob.status, eq, wanted.status),
        (ScheduledJob.scheduled_for, ge, wanted.since),
        (ScheduledJob.scheduled_for, lt, wanted.until),
    )
    return [compare(column, value) for column, compare, value in conditions if value is not None]


async def find_job(session: AsyncSession, workspace_id: UUID, job_id: UUID) -> ScheduledJob | None:
    """Return a job of the workspace, as it is now."""
    statement = select(ScheduledJob).where(ScheduledJob.workspace_id == workspace_id, ScheduledJob.id == job_id)
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def apply_event(
    session: AsyncSession, workspace_id: UUID, job_id: UUID, sources: Collection[JobStatus], values: dict[str, Any]
) -> ScheduledJob | None:
    """Change a job that is in one of `sources` and return it, or None when it is not."""
    statement = (
        update(ScheduledJob)
        .where(
            ScheduledJob.workspace_id == workspace_id,
            ScheduledJob.id == job_id,
            ScheduledJob.status.in_(sorted(sources)),
        )
        .values(**values)
        .returning(ScheduledJob)
    )
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def apply_event_to_all(
    session: AsyncSession, workspace_id: UUID, wanted: JobFilter, values: dict[str, Any], *, most: int
) -> int:
    """Change up to `most` of the wanted jobs, oldest first, and return how many; those held by others are left out."""
    chosen = (
        select(ScheduledJob.id)
        .where(*_wanted(workspace_id, wanted))
        .order_by(ScheduledJob.id)
        .limit(most)
        .with_for_update(skip_locked=True)
        .cte("chosen")
    )
    statement = update(ScheduledJob).where(ScheduledJob.id == chosen.c.id).values(**values)
    moved: Any = await session.execute(statement, execution_options={"synchronize_session": False})
    return int(moved.rowcount)


async def count_jobs(session: AsyncSession, workspace_id: UUID, wanted: JobFilter) -> int:
    """Return how many jobs are as wanted."""
    return await session.scalar(select(func.count()).where(*_wanted(workspace_id, wanted))) or 0


def enqueue_again(now: datetime, attempts: int) -> dict[str, Any]:
    """Return the values of a job that waits again from `now` on, for so many attempts more.

    Attempts go on counting: they fence off a lost worker that still thinks it holds the job.
    """
    return {
        "status": JobStatus.PENDING,
        "run_at": now,
        "paced": False,
        "max_attempts": func.greatest(ScheduledJob.max_attempts, ScheduledJob.attempts + attempts),
        "completed_at": None,
    }

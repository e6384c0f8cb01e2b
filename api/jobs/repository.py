"""SQL of the job engine and of the job endpoints."""

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

# The claim for a job type that no workspace has a rate for, at half the cost. Where one has a rate, it claims nothing.
_CLAIM_WITHOUT_RATES = """
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

# The oldest due jobs of all workspaces. If fewer than the window are due, this sees every waiting workspace.
_OLDEST = """
    due AS (
      SELECT id, workspace_id, run_at, paced, 1 AS priority
        FROM app.scheduled_jobs
       WHERE status = 'pending' AND job_type = :job_type AND run_at <= :now
       ORDER BY run_at, id
       LIMIT :window
       FOR UPDATE SKIP LOCKED
    )
"""

# The claim by rotation, for when more jobs are due than one claim sees. It visits workspaces in the order of their ids,
# from where the last claim stopped, and takes a few jobs of each; the oldest jobs fill the rest. So a workspace with
# many jobs cannot delay the others.
# ORDER BY workspace_id, run_at is the whole order of the partial index of pending jobs. With workspace_id alone the
# planner takes the index of dedupe keys and reads every ended job. The status in the recursive part selects that index;
# the status of each job is compared again where its row is locked.
_CLAIM_ROTATION = """
    RECURSIVE waiting AS (
      (SELECT workspace_id FROM app.scheduled_jobs
        WHERE status = 'pending' AND job_type = :job_type AND workspace_id > :after
        ORDER BY workspace_id, run_at LIMIT 1)
      UNION ALL
      SELECT (SELECT job.workspace_id FROM app.scheduled_jobs AS job
               WHERE job.status = 'pending' AND job.job_type = :job_type AND job.workspace_id > waiting.workspace_id
               ORDER BY job.workspace_id, job.run_at LIMIT 1)
        FROM waiting WHERE waiting.workspace_id IS NOT NULL
    ),
    visited AS (SELECT workspace_id FROM waiting WHERE workspace_id IS NOT NULL LIMIT :visits),
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
      SELECT id, workspace_id, run_at, paced, min(priority) AS priority
        FROM (SELECT *, 1 AS priority FROM fair UNION ALL SELECT *, 2 FROM oldest) AS candidates
       GROUP BY id, workspace_id, run_at, paced
    )
"""

# The generic cell rate algorithm: in a workspace with a rate each started job uses the next slot, and up to `burst`
# slots can be used at once. A job with a future slot is rescheduled to it once (`paced`), and the slot is reserved.
_START = """
    chosen AS (
      SELECT id, workspace_id, run_at, paced
        FROM (SELECT *, row_number() OVER (PARTITION BY priority, workspace_id ORDER BY run_at, id) AS nth
                FROM due) AS ranked
       ORDER BY priority, nth, run_at, id
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
    used AS (
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
    SELECT total.seen, total.moved, total.last_visited, total.is_single_workspace, total.has_rates, started.*
      FROM (SELECT (SELECT count(*) FROM {counted}) AS seen, (SELECT count(*) FROM moved) AS moved,
                   {last_visited} AS last_visited,
                   (SELECT count(DISTINCT workspace_id) < 2 FROM due) AS is_single_workspace,
                   EXISTS (SELECT FROM app.workspace_limits WHERE job_type = :job_type) AS has_rates) AS total
      LEFT JOIN started ON true
"""

_CLAIM = text(f"WITH {_OLDEST}, {_START}".format(counted="due", last_visited="CAST(NULL AS uuid)"))
_CLAIM_BY_ROTATION = text(
    f"WITH {_CLAIM_ROTATION}, {_START}".format(
        counted="oldest", last_visited="(SELECT workspace_id FROM visited ORDER BY workspace_id DESC LIMIT 1)"
    )
)
WINDOW_FACTOR = 2
"""A claim looks at this many times the jobs that it may start, to see whether other workspaces wait."""
MAX_VISITED_WORKSPACES = 200
"""How many workspaces one claim by rotation visits."""
JOBS_PER_WORKSPACE = 4
"""How many jobs of each visited workspace are taken before those of the next."""

# The join must use the ids, not locked_by: with an index on locked_by the cost was quadratic.
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
    """How a claimed job ended. `granted` attempts are added, for a job that was only deferred."""

    job_id: UUID
    attempts: int
    status: JobStatus
    run_at: datetime | None = None
    error: str | None = None
    granted: int = 0


class ClaimedJob(NamedTuple):
    """A job that was claimed."""

    id: UUID
    workspace_id: UUID
    payload: dict[str, Any]
    attempts: int
    max_attempts: int
    scheduled_for: datetime
    run_at: datetime


class ClaimRequest(NamedTuple):
    """The parameters of a claim: up to `most` due jobs of a type, for a worker."""

    job_type: str
    worker: UUID
    now: datetime
    most: int


@dataclass(frozen=True, slots=True)
class Claim:
    """Claimed jobs, and what the next claim needs to know."""

    jobs: Sequence[ClaimedJob]
    has_more: bool
    """Whether more jobs are due than this claim saw; the next claim then goes by rotation."""
    moved: int = 0
    """How many jobs were over their workspace's rate and were rescheduled to their slots."""
    last_visited: UUID | None = None
    """The workspace after which the rotation continues."""
    is_single_workspace: bool = False
    """Whether at most one workspace has due jobs, so that no workspace waits for another."""
    has_rates: bool = False
    """Whether any workspace has a rate for this type."""


async def claim_without_rates(session: AsyncSession, request: ClaimRequest) -> Claim:
    """Claim due jobs, the oldest first; none if any workspace has a rate for the type."""
    job_type, worker, now, most = request
    rows = await fetch(session, _CLAIM_WITHOUT_RATES, [job_type, now, job_type, most, worker, now])
    return Claim([ClaimedJob(**row) for row in rows], has_more=len(rows) == most)


async def claim_jobs(session: AsyncSession, request: ClaimRequest, rotate_after: UUID | None = None) -> Claim:
    """Claim due jobs of all workspaces, within the rate of each workspace.

    The oldest jobs come first. With `rotate_after` the claim goes by rotation, from the workspace after that id.
    """
    if rotate_after is None:
        statement, window, rotation = _CLAIM, request.most * WINDOW_FACTOR, {}
    else:
        statement, window = _CLAIM_BY_ROTATION, request.most
        rotation = {"after": rotate_after, "visits": MAX_VISITED_WORKSPACES, "share": JOBS_PER_WORKSPACE}
    rows = (await session.execute(statement, {**request._asdict(), **rotation, "window": window})).all()
    total = rows[0]
    jobs = [ClaimedJob(*row[5:]) for row in rows if row.id is not None]
    return Claim(
        jobs, total.seen >= window, total.moved, total.last_visited, total.is_single_workspace, total.has_rates
    )


async def finish_jobs(session: AsyncSession, worker: UUID, now: datetime, endings: Sequence[Ending]) -> None:
    """Record how jobs ended, the completed ones with one statement. A job that the worker has lost is not changed."""
    completed = [ending for ending in endings if ending.status is JobStatus.COMPLETED]
    others = [ending for ending in endings if ending.status is not JobStatus.COMPLETED]
    if completed:
        ids, attempts = [ending.job_id for ending in completed], [ending.attempts for ending in completed]
        await fetch(session, _COMPLETE, [now, ids, attempts, worker])
    if not others:
        return
    await session.execute(
        _FINISH,
        {
            "worker": worker,
            "now": now,
            "ids": [ending.job_id for ending in others],
            "attempts": [ending.attempts for ending in others],
            "statuses": [ending.status.value for ending in others],
            "run_ats": [ending.run_at for ending in others],
            "errors": [ending.error for ending in others],
            "granted": [ending.granted for ending in others],
        },
    )


async def next_due(session: AsyncSession, job_types: Sequence[str]) -> dict[str, datetime | None]:
    """Return when the earliest pending job of each type may run, None for a type without pending jobs."""
    return {row.job_type: row.due for row in await session.execute(_NEXT_DUE, {"job_types": list(job_types)})}


async def find_jobs(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, job_filter: JobFilter
) -> Sequence[ScheduledJob]:
    """Return the workspace's jobs, newest first, one more than the page holds."""
    statement = select(ScheduledJob).where(*_conditions(workspace_id, job_filter))
    return (await session.scalars(paged(statement, ScheduledJob.id, page))).all()


def _conditions(workspace_id: UUID, job_filter: JobFilter) -> list[ColumnElement[bool]]:
    conditions: tuple[tuple[Any, Callable[[Any, Any], ColumnElement[bool]], Any], ...] = (
        (ScheduledJob.workspace_id, eq, workspace_id),
        (ScheduledJob.job_type, eq, job_filter.job_type),
        (ScheduledJob.status, eq, job_filter.status),
        (ScheduledJob.scheduled_for, ge, job_filter.since),
        (ScheduledJob.scheduled_for, lt, job_filter.until),
    )
    return [compare(column, value) for column, compare, value in conditions if value is not None]


async def find_job(session: AsyncSession, workspace_id: UUID, job_id: UUID) -> ScheduledJob | None:
    """Return a job of the workspace, read anew from the database."""
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
    session: AsyncSession, workspace_id: UUID, job_filter: JobFilter, values: dict[str, Any], *, most: int
) -> int:
    """Change up to `most` matching jobs, oldest first, and return how many. Locked jobs are skipped."""
    selected = (
        select(ScheduledJob.id)
        .where(*_conditions(workspace_id, job_filter))
        .order_by(ScheduledJob.id)
        .limit(most)
        .with_for_update(skip_locked=True)
        .cte("chosen")
    )
    statement = update(ScheduledJob).where(ScheduledJob.id == selected.c.id).values(**values)
    moved: Any = await session.execute(statement, execution_options={"synchronize_session": False})
    return int(moved.rowcount)


async def count_jobs(session: AsyncSession, workspace_id: UUID, job_filter: JobFilter) -> int:
    """Return how many jobs match."""
    return await session.scalar(select(func.count()).where(*_conditions(workspace_id, job_filter))) or 0


def requeued_values(now: datetime, attempts: int) -> dict[str, Any]:
    """Return the values of a job that is pending again from `now` on, with so many more attempts.

    `attempts` is not reset: it fences off a lost worker that still runs the job.
    """
    return {
        "status": JobStatus.PENDING,
        "run_at": now,
        "paced": False,
        "max_attempts": func.greatest(ScheduledJob.max_attempts, ScheduledJob.attempts + attempts),
        "completed_at": None,
    }

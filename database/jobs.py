"""Putting work on the queue, by name, within the caller's transaction; its workers; and what leaves it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import Select, literal, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from database.direct import fetch
from database.models.jobs import SHOWN, JobWorker, ScheduledJob

DEFAULT_MAX_ATTEMPTS = 5

_ENQUEUE = """
INSERT INTO app.scheduled_jobs (workspace_id, job_type, payload, scheduled_for, run_at, dedupe_key, max_attempts)
SELECT %s, %s, job.payload, job.due, job.due, job.dedupe_key, %s
  FROM unnest(%s::jsonb[], %s::timestamptz[], %s::text[]) AS job (payload, due, dedupe_key)
ON CONFLICT (workspace_id, job_type, dedupe_key) DO NOTHING
RETURNING 1 AS made
"""
# One job is by far the most frequent, and needs no plan over a list.
_ENQUEUE_ONE = """
INSERT INTO app.scheduled_jobs (workspace_id, job_type, payload, scheduled_for, run_at, dedupe_key, max_attempts)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (workspace_id, job_type, dedupe_key) DO NOTHING
RETURNING 1 AS made
"""

_ENQUEUE_SLOT = text("SELECT app.enqueue_slot(:job_type, :slot)")

# Ids begin with the millisecond in which they were made: nothing younger can have ended so long ago, and no index is
# needed. A key keeps its work from being asked for again, so its row stays; a slot is never asked for again.
_ARCHIVE = text(
    """
    WITH walked AS MATERIALIZED (
      SELECT id FROM app.scheduled_jobs
       WHERE id > CAST(:after AS uuid)
         AND id < CAST(rpad(lpad(to_hex(CAST(
               extract(epoch FROM now() - make_interval(secs => :age_seconds)) * 1000 AS bigint)), 12, '0'), 32, '0')
             AS uuid)
       ORDER BY id
       LIMIT :most
    ),
    ended AS (
      SELECT id FROM app.scheduled_jobs
       WHERE id IN (SELECT id FROM walked)
         AND status IN ('completed', 'cancelled') AND completed_at < :before
         AND (dedupe_key IS NULL OR starts_with(dedupe_key, 'slot:') AND scheduled_for < :slots_before)
         FOR UPDATE SKIP LOCKED
    ),
    gone AS (DELETE FROM app.scheduled_jobs AS job USING ended WHERE job.id = ended.id RETURNING job.*),
    kept AS (
      INSERT INTO app.archived_jobs (workspace_id, id, job_type, payload, scheduled_for, run_at, status, attempts,
                                     max_attempts, last_error, started_at, created_at, completed_at)
      SELECT workspace_id, id, job_type,
             (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(payload)
               WHERE key = ANY(CAST(:shown AS text[]))),
             scheduled_for, run_at, status, attempts, max_attempts, last_error, started_at, created_at, completed_at
        FROM gone
    )
    SELECT coalesce((SELECT id FROM walked ORDER BY id DESC LIMIT 1), CAST(:after AS uuid)) AS last,
           (SELECT count(*) FROM walked) AS walked
    """
)


_GIVE_BACK_UNKNOWN = text(
    """
    UPDATE app.scheduled_jobs
       SET status = 'pending', paced = false, run_at = :now, locked_by = NULL, max_attempts = max_attempts + 1,
           last_error = 'The worker did not hear that it was to do this.'
     WHERE status = 'running' AND locked_by = :worker AND job_type = :job_type
       AND id <> ALL(CAST(:known AS uuid[]))
    """
)

_RETIRE = text(
    """
    WITH given_back AS (
      UPDATE app.scheduled_jobs
         SET status = 'pending', paced = false, run_at = :now, locked_by = NULL, max_attempts = max_attempts + 1,
             last_error = 'The worker stopped before this ended.'
       WHERE status = 'running' AND locked_by = :worker
    )
    DELETE FROM app.job_workers WHERE id = :worker
    """
)

# A job is lost when no beating worker holds it, so a worker that never beat cannot keep one either. Whose it was is
# compared again when its row is locked: who has claimed it since is not looked up anew in the list of workers. The
# first status finds the running ones by their index.
_REAP = text(
    """
    WITH lost AS MATERIALIZED (
      SELECT id, locked_by FROM app.scheduled_jobs AS job
       WHERE job.status = 'running'
         AND NOT EXISTS (
           SELECT 1 FROM app.job_workers AS worker
            WHERE worker.id = job.locked_by AND worker.beat_at > now() - make_interval(secs => :lost_after))
    )
    UPDATE app.scheduled_jobs AS job
       SET status = CASE WHEN job.attempts < job.max_attempts OR job.job_type = ANY(CAST(:verified AS text[]))
                         THEN 'pending' ELSE 'failed' END,
           paced = false,
           last_error = 'The worker that ran this was lost.',
           completed_at = CASE WHEN job.attempts < job.max_attempts OR job.job_type = ANY(CAST(:verified AS text[]))
                               THEN NULL ELSE CAST(:now AS timestamptz) END,
           locked_by = NULL
      FROM lost
     WHERE job.id = lost.id AND job.status = 'running' AND job.locked_by IS NOT DISTINCT FROM lost.locked_by
    RETURNING job.job_type, job.status, job.started_at
    """
)

_FORGET_WORKERS = text("DELETE FROM app.job_workers WHERE beat_at < now() - interval '1 day'")

_BEAT = text("UPDATE app.job_workers SET beat_at = now() WHERE id = :worker")


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work to be done at or after `due`; with a `dedupe_key` it is put on the queue once, ever.

    Keys that begin with `slot:` are those of `enqueue_slot`.
    """

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
    # What the jobs are about may still wait in the session.
    await session.flush()
    if len(jobs) == 1:
        (job,) = jobs
        row = [workspace_id, job_type, Jsonb(job.payload), job.due, job.due, job.dedupe_key, max_attempts]
        return len(await fetch(session, _ENQUEUE_ONE, row))
    columns = [Jsonb(job.payload) for job in jobs], [job.due for job in jobs], [job.dedupe_key for job in jobs]
    return len(await fetch(session, _ENQUEUE, [workspace_id, job_type, max_attempts, *columns]))


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


async def enqueue_slot(session: AsyncSession, job_type: str, slot: datetime) -> int:
    """Put one job on the queue for each live workspace that has none of this type and slot; returns how many.

    For the engine's role alone.
    """
    return int((await session.execute(_ENQUEUE_SLOT, {"job_type": job_type, "slot": slot})).scalar_one())


async def register_worker(session: AsyncSession, host: str) -> UUID:
    """Insert a worker and return its id."""
    return (await session.scalars(insert(JobWorker).values(host=host).returning(JobWorker.id))).one()


async def beat(session: AsyncSession, worker: UUID) -> None:
    """Say that the worker lives, by the database's clock."""
    await session.execute(_BEAT, {"worker": worker})


async def retire_worker(session: AsyncSession, worker: UUID, now: datetime) -> None:
    """Take a worker that stops out of the list, and put all that it still holds back on the queue."""
    await session.execute(_RETIRE, {"worker": worker, "now": now})


async def give_back_unknown(
    session: AsyncSession, *, job_type: str, worker: UUID, known: Collection[UUID], now: datetime
) -> None:
    """Put back what the worker holds of a type without knowing it: a claim whose answer was lost on the way."""
    parameters = {"job_type": job_type, "worker": worker, "known": list(known), "now": now}
    await session.execute(_GIVE_BACK_UNKNOWN, parameters)


async def reap(
    session: AsyncSession, *, lost_after: float, now: datetime, verified: Sequence[str]
) -> Sequence[Row[Any]]:
    """Give back the jobs of lost workers and return their `job_type`, `status` and `started_at`.

    Types in `verified` run again whatever their attempts, to find out.
    """
    parameters = {"lost_after": lost_after, "now": now, "verified": list(verified)}
    reaped = (await session.execute(_REAP, parameters)).all()
    await session.execute(_FORGET_WORKERS)
    return reaped


async def archive(
    session: AsyncSession, *, after: UUID, age_seconds: float, before: datetime, slots_before: datetime, most: int
) -> tuple[UUID, bool]:
    """Look at up to `most` jobs behind `after` and move those that ended well before `before` off the queue.

    Only jobs made `age_seconds` ago, by the database's clock, are looked at; those of slots must be of slots before
    `slots_before`. Returns the last one looked at, and whether there may be more. For the engine's role alone.
    """
    limits = {"after": after, "age_seconds": age_seconds, "before": before, "slots_before": slots_before, "most": most}
    row = (await session.execute(_ARCHIVE, {**limits, "shown": list(SHOWN)})).one()
    return row.last, row.walked == most

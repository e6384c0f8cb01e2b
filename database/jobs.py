"""Enqueues jobs in the caller's transaction, tracks workers, and archives ended jobs."""

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
from database.models.jobs import PUBLIC_PAYLOAD_FIELDS, JobWorker, ScheduledJob

DEFAULT_MAX_ATTEMPTS = 5

_ENQUEUE = """
INSERT INTO app.scheduled_jobs (workspace_id, job_type, payload, scheduled_for, run_at, dedupe_key, max_attempts)
SELECT %s, %s, job.payload, job.due, job.due, job.dedupe_key, %s
  FROM unnest(%s::jsonb[], %s::timestamptz[], %s::text[]) AS job (payload, due, dedupe_key)
ON CONFLICT (workspace_id, job_type, dedupe_key) DO NOTHING
RETURNING 1 AS made
"""
# Most calls enqueue a single job, which needs no plan over arrays.
_ENQUEUE_ONE = """
INSERT INTO app.scheduled_jobs (workspace_id, job_type, payload, scheduled_for, run_at, dedupe_key, max_attempts)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (workspace_id, job_type, dedupe_key) DO NOTHING
RETURNING 1 AS made
"""

_ENQUEUE_STOPS = text("SELECT app.enqueue_stops(:job_type, CAST(:person_keys AS text[]), :reason, :cause, :due)")
_ENQUEUE_SLOT = text("SELECT app.enqueue_slot(:job_type, :slot)")

# Ids begin with the millisecond of their creation. Only jobs created before the age limit can have ended before it, so
# a scan of the primary key is enough. A job with a dedupe key stays, because the key prevents a second job; a slot is
# never enqueued twice, so its job can go.
_ARCHIVE = text(
    """
    WITH scanned AS MATERIALIZED (
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
       WHERE id IN (SELECT id FROM scanned)
         AND status IN ('completed', 'cancelled') AND completed_at < :before
         AND (dedupe_key IS NULL OR starts_with(dedupe_key, 'slot:') AND scheduled_for < :slots_before)
         FOR UPDATE SKIP LOCKED
    ),
    deleted AS (DELETE FROM app.scheduled_jobs AS job USING ended WHERE job.id = ended.id RETURNING job.*),
    archived AS (
      INSERT INTO app.archived_jobs (workspace_id, id, job_type, payload, scheduled_for, run_at, status, attempts,
                                     max_attempts, last_error, started_at, created_at, completed_at)
      SELECT workspace_id, id, job_type,
             (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(payload)
               WHERE key = ANY(CAST(:public_fields AS text[]))),
             scheduled_for, run_at, status, attempts, max_attempts, last_error, started_at, created_at, completed_at
        FROM deleted
    )
    SELECT coalesce((SELECT id FROM scanned ORDER BY id DESC LIMIT 1), CAST(:after AS uuid)) AS last,
           (SELECT count(*) FROM scanned) AS scanned
    """
)


_RELEASE_UNKNOWN = text(
    """
    UPDATE app.scheduled_jobs
       SET status = 'pending', paced = false, run_at = :now, locked_by = NULL, max_attempts = max_attempts + 1,
           last_error = 'The worker did not receive this job.'
     WHERE status = 'running' AND locked_by = :worker AND job_type = :job_type
       AND id <> ALL(CAST(:known AS uuid[]))
    """
)

_RETIRE = text(
    """
    WITH released AS (
      UPDATE app.scheduled_jobs
         SET status = 'pending', paced = false, run_at = :now, locked_by = NULL, max_attempts = max_attempts + 1,
             last_error = 'The worker stopped before the job ended.'
       WHERE status = 'running' AND locked_by = :worker
    )
    DELETE FROM app.job_workers WHERE id = :worker
    """
)

# A job is lost when its worker has sent no heartbeat in time. The outer condition compares `locked_by` again when the
# row is locked: another worker may have claimed the job since, and Postgres does not run the subquery on workers again.
# The condition on `status` in the CTE selects the index of running jobs.
_REQUEUE_LOST = text(
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
           last_error = 'The worker that ran this job was lost.',
           completed_at = CASE WHEN job.attempts < job.max_attempts OR job.job_type = ANY(CAST(:verified AS text[]))
                               THEN NULL ELSE CAST(:now AS timestamptz) END,
           locked_by = NULL
      FROM lost
     WHERE job.id = lost.id AND job.status = 'running' AND job.locked_by IS NOT DISTINCT FROM lost.locked_by
    RETURNING job.job_type, job.status, job.started_at
    """
)

_DELETE_LOST_WORKERS = text("DELETE FROM app.job_workers WHERE beat_at < now() - interval '1 day'")

_RECORD_HEARTBEAT = text("UPDATE app.job_workers SET beat_at = now() WHERE id = :worker")


@dataclass(frozen=True, slots=True)
class Job:
    """A job that runs at or after `due`; a job with a `dedupe_key` is enqueued only once.

    Keys that begin with `slot:` are reserved for `enqueue_slot`.
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
    """Enqueue `jobs` with one statement in the session's transaction, and return how many were new."""
    if not jobs:
        return 0
    # The session may hold unflushed rows that the jobs refer to.
    await session.flush()
    if len(jobs) == 1:
        (job,) = jobs
        row = [workspace_id, job_type, Jsonb(job.payload), job.due, job.due, job.dedupe_key, max_attempts]
        return len(await fetch(session, _ENQUEUE_ONE, row))
    columns = [Jsonb(job.payload) for job in jobs], [job.due for job in jobs], [job.dedupe_key for job in jobs]
    return len(await fetch(session, _ENQUEUE, [workspace_id, job_type, max_attempts, *columns]))


async def enqueue_from_select(
    session: AsyncSession,
    job_type: str,
    workspace_id: UUID,
    work: Select[tuple[dict[str, Any], datetime]],
    *,
    max_attempts: int = DEFAULT_MAX_ATTEMPTS,
) -> None:
    """Enqueue one job for each row of `work`, a select of (payload, due), within the database."""
    due = work.subquery("due")
    columns = list(due.c)
    source = select(literal(workspace_id), literal(job_type), columns[0], columns[1], columns[1], literal(max_attempts))
    names = ["workspace_id", "job_type", "payload", "scheduled_for", "run_at", "max_attempts"]
    await session.execute(insert(ScheduledJob).from_select(names, source))


async def enqueue_stops(
    session: AsyncSession, job_type: str, person_keys: Sequence[str], *, reason: str, cause: str, due: datetime
) -> None:
    """Enqueue a job in each other workspace of the account that has leads of these persons, with the ids of the leads.

    Deleted workspaces get none.
    """
    keys = list(person_keys)
    parameters = {"job_type": job_type, "person_keys": keys, "reason": reason, "cause": cause, "due": due}
    await session.execute(_ENQUEUE_STOPS, parameters)


async def enqueue_slot(session: AsyncSession, job_type: str, slot: datetime) -> int:
    """Enqueue a job for each workspace that has no job of this type and slot; returns how many.

    Deleted workspaces get none. Only the engine's role may call this.
    """
    return int((await session.execute(_ENQUEUE_SLOT, {"job_type": job_type, "slot": slot})).scalar_one())


async def register_worker(session: AsyncSession, host: str) -> UUID:
    """Register a worker and return its id."""
    return (await session.scalars(insert(JobWorker).values(host=host).returning(JobWorker.id))).one()


async def record_heartbeat(session: AsyncSession, worker: UUID) -> None:
    """Record a heartbeat of the worker, by the database clock."""
    await session.execute(_RECORD_HEARTBEAT, {"worker": worker})


async def retire_worker(session: AsyncSession, worker: UUID, now: datetime) -> None:
    """Delete a worker that stops, and put the jobs that it still has back on the queue."""
    await session.execute(_RETIRE, {"worker": worker, "now": now})


async def release_unknown_claims(
    session: AsyncSession, *, job_type: str, worker: UUID, known: Collection[UUID], now: datetime
) -> None:
    """Put jobs of a type that the worker claimed but does not know back on the queue: the claim's response was lost."""
    parameters = {"job_type": job_type, "worker": worker, "known": list(known), "now": now}
    await session.execute(_RELEASE_UNKNOWN, parameters)


async def requeue_lost_jobs(
    session: AsyncSession, *, lost_after: float, now: datetime, verified: Sequence[str]
) -> Sequence[Row[Any]]:
    """Put the jobs of lost workers back on the queue and return their `job_type`, `status` and `started_at`.

    A job without attempts left fails, unless its type is in `verified`: those jobs check first what was done.
    """
    parameters = {"lost_after": lost_after, "now": now, "verified": list(verified)}
    lost = (await session.execute(_REQUEUE_LOST, parameters)).all()
    await session.execute(_DELETE_LOST_WORKERS)
    return lost


async def archive_jobs(
    session: AsyncSession, *, after: UUID, age_seconds: float, before: datetime, slots_before: datetime, most: int
) -> tuple[UUID, bool]:
    """Scan up to `most` jobs after the id `after`, and archive those that completed or were cancelled before `before`.

    Only jobs created at least `age_seconds` ago, by the database clock, are scanned; a slot's job must be of a slot
    before `slots_before`. Returns the last scanned id, and whether there may be more. Only the engine's role may call
    this.
    """
    limits = {"after": after, "age_seconds": age_seconds, "before": before, "slots_before": slots_before, "most": most}
    row = (await session.execute(_ARCHIVE, {**limits, "public_fields": list(PUBLIC_PAYLOAD_FIELDS)})).one()
    return row.last, row.scanned == most

"""Baselines of the job engine: a loop that claims and completes jobs, and a plain INSERT of a job."""

import time
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.engine import URL

from benchmarks.errors import BenchmarkError
from database.roles import ENGINE_ROLE, connect, role_url

BATCH = 100

INSERT = """
INSERT INTO app.scheduled_jobs (workspace_id, job_type, payload, scheduled_for, run_at, max_attempts)
VALUES (%(workspace)s, %(job_type)s, '{}', %(due)s, %(due)s, 5)
RETURNING id
"""
"""Inserts one job; the parameters are its workspace, job type and due time."""

_CLAIM = """
WITH due AS (
  SELECT id FROM app.scheduled_jobs
   WHERE status = 'pending' AND job_type = %s AND run_at <= now()
   ORDER BY run_at, id LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE app.scheduled_jobs AS job SET status = 'running', started_at = now() FROM due WHERE job.id = due.id
RETURNING job.id
"""
_COMPLETE = """
UPDATE app.scheduled_jobs AS job SET status = 'completed', completed_at = now()
  FROM unnest(%s::uuid[]) AS done (id) WHERE job.id = done.id
"""


def process_jobs(owner: URL, job_type: str, jobs: int) -> float:
    """Claim and complete the due jobs of a type in batches of BATCH, and return the seconds it takes.

    It records no attempts, owners or heartbeats, so another worker could not take over.
    """
    done = 0
    with connect(role_url(owner, ENGINE_ROLE)) as connection:
        started = time.perf_counter()
        while ids := _ids(connection.execute(_CLAIM, [job_type, BATCH]).fetchall()):
            done += connection.execute(_COMPLETE, [ids]).rowcount
        seconds = time.perf_counter() - started
    if done != jobs:
        raise BenchmarkError(f"The loop completed {done:,} of {jobs:,} jobs.")
    return seconds


def _ids(rows: Sequence[tuple[UUID]]) -> list[UUID]:
    return [job_id for (job_id,) in rows]

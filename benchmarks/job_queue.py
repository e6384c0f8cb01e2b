"""A job queue for measurements: adds jobs as the owner, runs worker processes, and reads the results."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg

from benchmarks.databases import fresh_database
from benchmarks.errors import BenchmarkError
from benchmarks.servers import ISOLATED_ENVIRONMENT, READY_SECONDS
from database.roles import connect
from salesmatter import checkout
from salesmatter.processes import Processes, Program
from salesmatter.stack import Database

POLL_SECONDS = 0.2
TIMEOUT_SECONDS = 300.0
"""The time limit of the jobs."""

_ADD_WORKSPACES = """
WITH account AS (INSERT INTO app.accounts (name) VALUES ('Bench') RETURNING id)
INSERT INTO app.workspaces (account_id, name, default_from_name, default_from_email)
SELECT id, 'Bench', 'Ann', 'ann@bench.example' FROM account, generate_series(1, %s) RETURNING id
"""
_ADD_JOBS = """
INSERT INTO app.scheduled_jobs (workspace_id, job_type, scheduled_for, run_at)
SELECT workspace, %s, due, due
  FROM unnest(%s::uuid[]) AS workspace, generate_series(0, %s - 1) AS number,
       LATERAL (SELECT %s + number * %s) AS slot (due)
"""
_ADD_LIMITS = """
INSERT INTO app.workspace_limits (workspace_id, job_type, "interval", burst) SELECT unnest(%s::uuid[]), %s, %s, %s
"""
_ENDED = """
SELECT count(*) FILTER (WHERE status = 'completed'), min(started_at), max(completed_at)
  FROM app.scheduled_jobs WHERE workspace_id = ANY(%s)
"""
_STARTED = """
SELECT count(*) FILTER (WHERE started_at <= first + %s)
  FROM (SELECT workspace_id, started_at, min(started_at) OVER (PARTITION BY workspace_id) AS first
          FROM app.scheduled_jobs WHERE workspace_id = ANY(%s)) AS job
 GROUP BY workspace_id
"""
_LIVE_WORKERS = "SELECT count(*) FROM app.job_workers WHERE beat_at > now() - interval '10 s'"


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue of a migrated database, and an autocommit connection of its owner."""

    database: Database
    connection: psycopg.Connection

    def add_workspaces(self, number: int) -> list[UUID]:
        """Create workspaces without jobs and rate limits."""
        return [workspace_id for (workspace_id,) in self.connection.execute(_ADD_WORKSPACES, [number]).fetchall()]

    def add_jobs(
        self,
        workspaces: Sequence[UUID],
        job_type: str,
        each: int,
        first: datetime,
        apart: timedelta = timedelta(0),
    ) -> None:
        """Add `each` jobs per workspace in one statement, the first due at `first` and the next each `apart` later."""
        self.connection.execute(_ADD_JOBS, [job_type, list(workspaces), each, first, apart])

    def add_limits(self, workspaces: Sequence[UUID], job_type: str, interval: timedelta, burst: int) -> None:
        """Limit the starts of a job type in each workspace to one per interval, with up to `burst` at once."""
        self.connection.execute(_ADD_LIMITS, [list(workspaces), job_type, interval, burst])

    def wait_until_completed(
        self, workspaces: Sequence[UUID], jobs: int, processes: Processes
    ) -> tuple[datetime, datetime]:
        """Wait until all `jobs` jobs of the workspaces are completed; returns the first start and the last end."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            row = self.connection.execute(_ENDED, [list(workspaces)]).fetchone()
            assert row is not None
            done, first, last = row
            if done == jobs:
                return first, last
            processes.require_running()
            if time.monotonic() > deadline:
                raise BenchmarkError(f"Only {done:,} of {jobs:,} jobs were completed in {TIMEOUT_SECONDS:.0f} s.")
            time.sleep(POLL_SECONDS)

    def count_starts(self, workspaces: Sequence[UUID], period: timedelta) -> list[int]:
        """Return how many jobs each workspace started within a period after its first start."""
        return [count for (count,) in self.connection.execute(_STARTED, [period, list(workspaces)]).fetchall()]

    def delete_jobs(self, job_type: str, before: datetime) -> None:
        """Delete the jobs of a type that were due before a time, whatever their status; no worker may run."""
        statement = "DELETE FROM app.scheduled_jobs WHERE job_type = %s AND scheduled_for < %s"
        self.connection.execute(statement, [job_type, before])
        self.vacuum()

    def vacuum(self) -> None:
        """Run VACUUM and ANALYZE now, so that they do not run during the next measurement."""
        self.connection.execute("VACUUM (ANALYZE) app.scheduled_jobs")


@contextmanager
def fresh_queue(server: Database) -> Iterator[Queue]:
    """Create an empty queue in a temporary database; raises StartError and DatabaseError."""
    with fresh_database(server) as database, connect(database.direct) as connection:
        yield Queue(database, connection)


def ignore_line(_name: str, _line: str) -> None:
    """Ignore a line of a process's output."""


@contextmanager
def run_workers(queue: Queue, number: int, on_line: Callable[[str, str], None] = ignore_line) -> Iterator[Processes]:
    """Run workers until the block ends; calls `on_line` with each line of their output. Raises StartError."""
    command = [sys.executable, "-m", "benchmarks.job_worker"]
    environment = {**ISOLATED_ENVIRONMENT, **queue.database.to_environment()}
    with Processes(on_line) as processes:
        for index in range(number):
            processes.start(Program(f"worker {index + 1}", command, environment, checkout.find_root()))
        processes.wait_for("worker", lambda: _count_live_workers(queue) == number, READY_SECONDS)
        yield processes
        processes.require_running()


def _count_live_workers(queue: Queue) -> int:
    row = queue.connection.execute(_LIVE_WORKERS).fetchone()
    assert row is not None
    return int(row[0])


def current_time() -> datetime:
    """Return the time that workers compare due times with, in UTC."""
    return datetime.now(UTC)

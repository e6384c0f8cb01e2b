"""A queue to be measured: jobs put into it by the owner, workers in processes of their own, and what came of them."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg

from benchmarks.databases import fresh_database
from benchmarks.errors import BenchFailed
from benchmarks.servers import NOBODY_ELSE, READY_SECONDS
from database.roles import connect
from salesmatter import checkout
from salesmatter.processes import Processes, Program
from salesmatter.stack import Database

LOOK_SECONDS = 0.2
LONGEST_SECONDS = 300.0
"""What jobs may take at most before the bench gives up."""

_WORKSPACES = """
WITH account AS (INSERT INTO app.accounts (name) VALUES ('Bench') RETURNING id)
INSERT INTO app.workspaces (account_id, name, default_from_name, default_from_email)
SELECT id, 'Bench', 'Ann', 'ann@bench.example' FROM account, generate_series(1, %s) RETURNING id
"""
_PUT = """
INSERT INTO app.scheduled_jobs (workspace_id, job_type, scheduled_for, run_at)
SELECT workspace, %s, due, due
  FROM unnest(%s::uuid[]) AS workspace, generate_series(0, %s - 1) AS number,
       LATERAL (SELECT %s + number * %s) AS slot (due)
"""
_LIMIT = """
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
_ALIVE = "SELECT count(*) FROM app.job_workers WHERE beat_at > now() - interval '10 s'"


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue of one migrated database, and a connection of its owner that commits each statement."""

    database: Database
    connection: psycopg.Connection

    def add_workspaces(self, number: int) -> list[UUID]:
        """Make workspaces that have no jobs and no limits yet."""
        return [one for (one,) in self.connection.execute(_WORKSPACES, [number]).fetchall()]

    def put(
        self,
        workspaces: Sequence[UUID],
        job_type: str,
        each: int,
        first: datetime,
        apart: timedelta = timedelta(0),
    ) -> None:
        """Put so many jobs of each workspace on the queue in one statement, due from `first` on, so far apart."""
        self.connection.execute(_PUT, [job_type, list(workspaces), each, first, apart])

    def limit(self, workspaces: Sequence[UUID], job_type: str, interval: timedelta, burst: int) -> None:
        """Let jobs of a type start for each of the workspaces once in an interval, `burst` at once."""
        self.connection.execute(_LIMIT, [list(workspaces), job_type, interval, burst])

    def wait_for(self, workspaces: Sequence[UUID], jobs: int, processes: Processes) -> tuple[datetime, datetime]:
        """Wait until all jobs of the workspaces, so many, are completed; returns the first start and the last end."""
        deadline = time.monotonic() + LONGEST_SECONDS
        while True:
            row = self.connection.execute(_ENDED, [list(workspaces)]).fetchone()
            assert row is not None
            done, first, last = row
            if done == jobs:
                return first, last
            processes.check()
            if time.monotonic() > deadline:
                raise BenchFailed(f"After {LONGEST_SECONDS:.0f} s {done:,} jobs of {jobs:,} are completed.")
            time.sleep(LOOK_SECONDS)

    def starts_within(self, workspaces: Sequence[UUID], period: timedelta) -> list[int]:
        """Return how many jobs each workspace started within a period from its first start on."""
        return [one for (one,) in self.connection.execute(_STARTED, [period, list(workspaces)]).fetchall()]

    def clear(self, job_type: str, before: datetime) -> None:
        """Delete the jobs of a type that were due before a moment, done or not; no worker may run."""
        gone = "DELETE FROM app.scheduled_jobs WHERE job_type = %s AND scheduled_for < %s"
        self.connection.execute(gone, [job_type, before])
        self.settle()

    def settle(self) -> None:
        """Have the server do now what it would do by and by, while the next thing is measured."""
        self.connection.execute("VACUUM (ANALYZE) app.scheduled_jobs")


@contextmanager
def fresh_queue(server: Database) -> Iterator[Queue]:
    """Make an empty queue in a database of its own, gone after the block; raises StartError and DatabaseError."""
    with fresh_database(server) as database, connect(database.direct) as connection:
        yield Queue(database, connection)


def ignore(_name: str, _line: str) -> None:
    """Hear nothing of what processes write."""


@contextmanager
def workers(queue: Queue, number: int, hear: Callable[[str, str], None] = ignore) -> Iterator[Processes]:
    """Run workers until the block ends; raises StartError."""
    command = [sys.executable, "-m", "benchmarks.job_worker"]
    environment = {**NOBODY_ELSE, **queue.database.environment()}
    with Processes(hear) as processes:
        for one in range(number):
            processes.start(Program(f"worker {one + 1}", command, environment, checkout.root()))
        processes.wait_for("worker", lambda: _alive(queue) == number, READY_SECONDS)
        yield processes
        processes.check()


def _alive(queue: Queue) -> int:
    row = queue.connection.execute(_ALIVE).fetchone()
    assert row is not None
    return int(row[0])


def now() -> datetime:
    """Return the time by which workers of this machine decide what is due, in UTC."""
    return datetime.now(UTC)

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from database.roles import APP_ROLE
from tests import ROOT
from tests.api.jobs import pooler, soak_worker
from tests.business_clock import BUSINESS_NOW
from tests.optional_programs import skip_reason

SECONDS = 90.0
JOBS, HOPELESS, WORKERS, MAX_ATTEMPTS = 4000, 20, 4, 5
SIGNALS = [signal.SIGKILL] * 6 + [signal.SIGSTOP] * 4 + [signal.SIGTERM] * 2

Worker = subprocess.Popen[bytes]


class Soak:
    """A queue of jobs that take up to 8 ms and fail 15 % or all of their attempts, and its workers."""

    def __init__(self, database_url: str, connection: psycopg.Connection, chance: Random, log: Path) -> None:
        self.database_url, self.connection, self.chance, self.log = database_url, connection, chance, log
        self.workers: list[Worker] = []
        self.stopped: dict[int, float] = {}

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        return self.connection.execute(query.encode(), parameters).fetchall()

    def fill(self) -> None:
        """Enqueue the jobs, all due now."""
        self.connection.execute(f"{soak_worker.TABLE} {APP_ROLE}".encode())
        payloads = [
            json.dumps({"milliseconds": self.chance.randrange(8), "failures": self._failures() if number else 99})
            for number in [0] * HOPELESS + [1] * (JOBS - HOPELESS)
        ]
        self.connection.execute(
            "WITH account AS (INSERT INTO app.accounts (name) VALUES ('Acme') RETURNING id), workspace AS ("
            " INSERT INTO app.workspaces (account_id, name, default_from_name, default_from_email)"
            " SELECT id, 'W', 'A', 'a@acme.example' FROM account RETURNING id)"
            " INSERT INTO app.scheduled_jobs (workspace_id, job_type, payload, scheduled_for, run_at, max_attempts)"
            f" SELECT workspace.id, %s, job.payload::jsonb, {BUSINESS_NOW}, {BUSINESS_NOW}, %s"
            " FROM workspace, unnest(%s::text[]) AS job (payload)",
            [soak_worker.JOB_TYPE, MAX_ATTEMPTS, payloads],
        )

    def _failures(self) -> int:
        failures = 0
        while self.chance.random() < 0.15:
            failures += 1
        return failures

    def start(self) -> None:
        """Start one more worker."""
        command = [sys.executable, "-m", soak_worker.__name__, self.database_url]
        with self.log.open("ab") as log:
            self.workers.append(subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=log, stderr=log))

    def until(self, holds: Callable[[], object]) -> None:
        """Poll until a condition holds; workers that were paused until they were lost continue meanwhile."""
        deadline = time.monotonic() + SECONDS
        while not holds():
            assert time.monotonic() < deadline, "not so in time"
            for worker in self.workers:
                if time.monotonic() > self.stopped.get(worker.pid, deadline):
                    del self.stopped[worker.pid]
                    worker.send_signal(signal.SIGCONT)
            time.sleep(0.02)

    def have_started(self, number: int) -> bool:
        """Return whether jobs have started so many times."""
        return self.rows("SELECT count(*) >= %s FROM app.soak_starts", number) == [(True,)]

    def at_work(self) -> list[Worker]:
        """Return the workers that have started jobs and are not paused."""
        busy = {process for (process,) in self.rows("SELECT DISTINCT process FROM app.soak_starts")}
        return [worker for worker in self.workers if worker.pid in busy - set(self.stopped)]

    def hurt(self, sign: signal.Signals) -> None:
        """Send a signal to a random working worker, and replace a worker that ends by it."""
        self.until(self.at_work)
        worker = self.chance.choice(self.at_work())
        worker.send_signal(sign)
        if sign == signal.SIGSTOP:
            self.stopped[worker.pid] = time.monotonic() + 1.5 * soak_worker.LOST_AFTER_SECONDS
            return
        self.workers.remove(worker)
        self.start()
        with worker:
            assert worker.wait(SECONDS) == (0 if sign == signal.SIGTERM else -sign), self.log.read_text()

    def has_ended(self) -> bool:
        """Return whether no job waits or runs, and no worker sleeps."""
        left = "SELECT FROM app.scheduled_jobs WHERE status IN ('pending', 'running') LIMIT 1"
        return not self.stopped and not self.rows(left)

    def dismiss(self) -> None:
        """Stop all workers, which must end without an error."""
        for worker in self.workers:
            assert worker.stdin is not None
            worker.stdin.close()
        assert [worker.wait(SECONDS) for worker in self.workers] == [0] * WORKERS, self.log.read_text()


@contextmanager
def soaking(database_url: str, workers_url: str, log: Path) -> Iterator[Soak]:
    """Run workers on a full queue, and end them all after the block."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        soak = Soak(workers_url, connection, Random(20), log)
        soak.fill()
        try:
            for _ in range(WORKERS):
                soak.start()
            yield soak
        finally:
            for worker in soak.workers:
                with worker:
                    worker.kill()


STATUSES = "SELECT status, count(*) FROM app.scheduled_jobs GROUP BY status"
STARTED_TWICE = "SELECT job_id, attempt FROM app.soak_starts GROUP BY job_id, attempt HAVING count(*) > 1"
GIVEN_UP_EARLY = "SELECT id FROM app.scheduled_jobs WHERE status = 'failed' AND attempts < max_attempts"
NEVER_DONE = """
SELECT id FROM app.scheduled_jobs AS job
 WHERE status = 'completed'
   AND (attempts <= (payload->>'failures')::int
        OR NOT EXISTS (SELECT FROM app.soak_starts WHERE job_id = job.id AND attempt = job.attempts))
"""
TAKEN_OVER = """
SELECT FROM app.scheduled_jobs WHERE status = 'completed' AND attempts > (payload->>'failures')::int + 1
"""
HOPELESS_FAILED = "SELECT count(*) FROM app.scheduled_jobs WHERE status = 'failed' AND payload->>'failures' = '99'"
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


needs_pooler = pytest.mark.skipif(pooler.PROGRAM is None, reason=skip_reason("pgbouncer"))


@pytest.mark.parametrize("through", [nullcontext, pytest.param(pooler.pooled, marks=needs_pooler)])
def test_nothing_is_lost_or_started_twice(
    database_url: str, tmp_path: Path, through: Callable[[str], AbstractContextManager[str]]
) -> None:
    """Workers are killed, disconnected until lost, and stopped; each job still ends, and no attempt starts twice.

    This holds with a direct connection and with a pooler in transaction mode.
    """
    with through(database_url) as url, soaking(database_url, url, tmp_path / "workers.log") as soak:
        for number, sign in enumerate(soak.chance.sample(SIGNALS, len(SIGNALS)), 1):
            soak.until(partial(soak.have_started, number * JOBS // (len(SIGNALS) + 1)))
            soak.hurt(sign)
        soak.until(soak.has_ended)
        soak.dismiss()

        statuses = dict(soak.rows(STATUSES))
        assert set(statuses) == {"completed", "failed"}
        assert sum(statuses.values()) == JOBS
        assert soak.rows(HOPELESS_FAILED) == [(HOPELESS,)]
        assert soak.rows(GIVEN_UP_EARLY) == []
        assert soak.rows(NEVER_DONE) == []
        assert soak.rows(STARTED_TWICE) == []
        assert soak.rows(DEADLOCKS) == [(0,)]
        assert soak.rows(TAKEN_OVER) != [], "no worker held anything when it was hurt"

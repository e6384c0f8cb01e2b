"""A database that restarts while the engine works."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from api.jobs.engine import Engine, EngineSettings, Task, Work
from database.embedded import start
from database.engine import create_pool
from database.migrate import migrate
from database.roles import APP_ROLE, ENGINE_ROLE, owner_url, role_url
from domain.clock import Clock
from tests.api.jobs.gate import Gate
from tests.api.jobs.soak_worker import TABLE
from tests.business_clock import BUSINESS_NOW
from tests.postgres import new_home, remove_home

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180, func_only=True)]

SOON = 120.0
JOBS, RESTARTS = 400, 3

FILL = f"""
WITH account AS (INSERT INTO app.accounts (name) VALUES ('Acme') RETURNING id), workspace AS (
  INSERT INTO app.workspaces (account_id, name, default_from_name, default_from_email)
  SELECT id, 'W', 'A', 'a@acme.example' FROM account RETURNING id)
INSERT INTO app.scheduled_jobs (workspace_id, job_type, scheduled_for, run_at, max_attempts)
SELECT workspace.id, 'work', {BUSINESS_NOW}, {BUSINESS_NOW}, %s FROM workspace, generate_series(1, %s)
"""
STARTED = text("INSERT INTO app.soak_starts VALUES (:job_id, :attempt, 0)")
STATUSES = "SELECT status, count(*) FROM app.scheduled_jobs GROUP BY status"
STARTS = "SELECT count(*) FROM app.soak_starts"
STARTED_TWICE = "SELECT FROM app.soak_starts GROUP BY job_id, attempt HAVING count(*) > 1"
UNSTARTED = """
SELECT FROM app.scheduled_jobs AS job WHERE NOT EXISTS (
  SELECT FROM app.soak_starts WHERE job_id = job.id AND attempt = job.attempts)
"""

Run = Callable[[Work[None]], Awaitable[None]]


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A proxy in front of a database."""
    with Gate().standing() as gate:
        yield gate


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty home for a separate server."""
    home = new_home()
    yield home
    remove_home(home)


@asynccontextmanager
async def working(url: str, run: Run) -> AsyncIterator["asyncio.Task[None]"]:
    """Run a worker for the block, and stop it at the end without an error."""
    owner = owner_url(url)
    pools = create_pool(role_url(owner, ENGINE_ROLE), size=6), create_pool(role_url(owner, APP_ROLE), size=6)
    engine = Engine(
        queue=pools[0],
        pool=pools[1],
        clock=Clock.parse(os.environ.get("SALESMATTER_CLOCK")),
        tasks=[Task("work", run, concurrency=10)],
        resources=None,
        settings=EngineSettings(poll_seconds=0.02, heartbeat_seconds=0.2, lost_after_seconds=30.0),
    )
    task = asyncio.create_task(engine.run())
    try:
        yield task
        engine.stop()
        await task
    finally:
        task.cancel()
        for pool in pools:
            await pool.dispose()


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    """Return what a query finds."""
    with psycopg.connect(url, connect_timeout=5) as connection:
        return connection.execute(query.encode()).fetchall()


def fill(url: str, jobs: int, *, attempts: int) -> None:
    """Enqueue due jobs, and create the table in which starts are recorded."""
    with psycopg.connect(url) as connection:
        connection.execute(f"{TABLE} {APP_ROLE}".encode())
        connection.execute(FILL, [attempts, jobs])


def have_started(url: str, number: int) -> bool:
    """Return whether jobs have started so many times."""
    ((started,),) = rows(url, STARTS)
    return isinstance(started, int) and started >= number


def has_ended(url: str) -> bool:
    """Return whether all jobs are completed."""
    return rows(url, STATUSES) == [("completed", JOBS)]


async def until(holds: Callable[[], object]) -> None:
    """Poll until a condition holds."""
    async with asyncio.timeout(SOON):
        while not holds():  # noqa: ASYNC110 - the database sends no event; there is a deadline
            await asyncio.sleep(0.02)


async def test_a_worker_survives_a_restart_of_the_database(home: Path, gate: Gate) -> None:
    """Postgres is stopped and started while jobs run: none is lost, and no attempt starts twice."""

    async def run(work: Work[None]) -> None:
        async with work.transaction() as session:
            await session.execute(STARTED, {"job_id": work.job_id, "attempt": work.attempt})
        await asyncio.sleep(0.02)

    server = await asyncio.to_thread(start, home)
    try:
        await asyncio.to_thread(migrate, owner_url(server.url))
        fill(server.url, JOBS, attempts=50)
        async with working(gate.url(server.url), run) as worker:
            for number in range(1, RESTARTS + 1):
                await until(partial(have_started, server.url, number * JOBS // (RESTARTS + 2)))
                await asyncio.to_thread(server.stop)
                server = await asyncio.to_thread(start, home)
                gate.url(server.url)
                assert not worker.done()
            # A job whose start could not be noted waits some seconds before it is tried again.
            await until(partial(has_ended, server.url))
        assert rows(server.url, STARTED_TWICE) == []
        assert rows(server.url, UNSTARTED) == []
        assert rows(server.url, "SELECT FROM app.job_workers") == []
    finally:
        await asyncio.to_thread(server.stop)


async def test_a_claim_whose_response_was_lost_is_released(database_url: str, gate: Gate) -> None:
    """A job whose claim response was lost does not stay locked by a live worker."""
    attempts: list[int] = []

    async def run(work: Work[None]) -> None:
        attempts.append(work.attempt)

    fill(database_url, 1, attempts=1)
    gate.mute_on = b"started_at ="
    async with working(gate.url(database_url), run):
        await until(lambda: rows(database_url, STATUSES) == [("running", 1)])
        gate.mute_on = None
        gate.cut()
        await until(lambda: rows(database_url, STATUSES) == [("completed", 1)])
    assert attempts == [2]

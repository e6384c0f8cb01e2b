"""A queue of one workspace, for the tests of the engine."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.jobs.engine import Engine, EngineSettings, Task, Work
from database.engine import create_pool
from database.jobs import Job, enqueue
from database.roles import APP_ROLE, ENGINE_ROLE, libpq_url, owner_url, role_url
from database.tenancy import Scope, transaction
from domain.clock import Clock

SOON = 10.0
Run = Callable[[Work[None]], Awaitable[None]]


@dataclass(slots=True)
class Queue:
    """A queue of one workspace with the resources of a worker; business time runs a thousand times as fast."""

    workspace: UUID
    queue: AsyncEngine
    pool: AsyncEngine
    owner: psycopg.AsyncConnection
    clock: Clock

    async def add(self, *payloads: dict[str, Any], job_type: str = "work", max_attempts: int = 3) -> None:
        """Put jobs on the queue that are due now."""
        jobs = [Job(self.clock.now(), payload) for payload in payloads or ({},)]
        async with transaction(self.pool, Scope(workspace_id=self.workspace)) as session:
            await enqueue(session, job_type, self.workspace, jobs, max_attempts=max_attempts)

    def engine(self, run: Run, *, concurrency: int = 4, on_lost: Any = "retry", **settings: float) -> Engine[None]:
        """Return a quick worker with one lane."""
        return Engine(
            queue=self.queue,
            pool=self.pool,
            clock=self.clock,
            tasks=[Task("work", run, concurrency, on_lost)],
            resources=None,
            settings=EngineSettings(**{"poll_seconds": 0.01, "heartbeat_seconds": 0.05, **settings}),
        )

    async def statuses(self) -> Counter[str]:
        """Return the number of jobs by status."""
        rows = await (await self.owner.execute("SELECT status FROM app.scheduled_jobs")).fetchall()
        return Counter(status for (status,) in rows)

    async def job(self) -> dict[str, Any]:
        """Return the only job."""
        cursor = psycopg.AsyncClientCursor(self.owner, row_factory=psycopg.rows.dict_row)
        (job,) = await (await cursor.execute("SELECT * FROM app.scheduled_jobs")).fetchall()
        return job

    async def has_ended(self) -> bool:
        """Return whether no job waits or runs."""
        left = await self.statuses()
        return not left["pending"] and not left["running"]

    async def work_off(self, run: Run, **settings: Any) -> None:
        """Run one worker until no job is left."""
        async with asyncio.timeout(SOON):
            await self.engine(run, **settings).run_until(self.has_ended)


@pytest.fixture
async def queue(database_url: str) -> AsyncIterator[Queue]:
    """An empty queue of a fresh workspace."""
    owner = owner_url(database_url)
    pools = create_pool(role_url(owner, ENGINE_ROLE), size=6), create_pool(role_url(owner, APP_ROLE), size=3)
    async with await psycopg.AsyncConnection.connect(libpq_url(owner), autocommit=True) as connection:
        made = await connection.execute(
            "WITH made AS (INSERT INTO app.accounts (name) VALUES ('Acme') RETURNING id) INSERT INTO app.workspaces"
            " (account_id, name, default_from_name, default_from_email)"
            " SELECT id, 'W', 'A', 'a@acme.example' FROM made RETURNING id"
        )
        (workspace,) = await made.fetchone() or (uuid4(),)
        clock = Clock(datetime.now(UTC).timestamp(), datetime(2026, 3, 4, 10, tzinfo=UTC), 1000)
        yield Queue(workspace, *pools, connection, clock)
    for pool in pools:
        await pool.dispose()

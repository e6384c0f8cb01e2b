"""Rotation and rates: which jobs are claimed, and how often."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from api.jobs import repository
from api.jobs.repository import Claim, ClaimRequest, Ending
from database import jobs
from database.engine import create_pool
from database.models import JobStatus
from database.roles import ENGINE_ROLE, libpq_url, owner_url, role_url

pytestmark = pytest.mark.anyio

START = datetime(2026, 3, 4, 10, tzinfo=UTC)
FIRST_ID = UUID(int=0)


@dataclass(slots=True)
class Queue:
    """The queue as a worker claims from it, with a clock that the test sets."""

    pool: AsyncEngine
    owner: psycopg.AsyncConnection
    worker: UUID
    account: UUID

    async def workspace(self) -> UUID:
        """Make a workspace."""
        made = await self.owner.execute(
            "INSERT INTO app.workspaces (account_id, name, default_from_name, default_from_email)"
            " VALUES (%s, 'W', 'A', 'a@acme.example') RETURNING id",
            [self.account],
        )
        workspace: UUID = (await made.fetchone() or (FIRST_ID,))[0]
        return workspace

    async def add(self, workspace: UUID, number: int, due: datetime = START) -> None:
        """Put jobs on the queue, a microsecond apart."""
        await self.owner.execute(
            "INSERT INTO app.scheduled_jobs (workspace_id, job_type, scheduled_for, run_at)"
            " SELECT %s, 'work', at, at FROM generate_series(1, %s) AS i, LATERAL"
            " (SELECT CAST(%s AS timestamptz) + i * interval '1 microsecond' AS at) AS due",
            [workspace, number, due - timedelta(seconds=1)],
        )

    async def limit(self, workspace: UUID, interval: timedelta, burst: int) -> None:
        """Give a workspace a rate."""
        await self.owner.execute(
            "INSERT INTO app.workspace_limits (workspace_id, job_type, interval, burst) VALUES (%s, 'work', %s, %s)",
            [workspace, interval, burst],
        )

    async def claim(self, most: int, now: datetime = START, after: UUID | None = None) -> Claim:
        """Claim once."""
        async with AsyncSession(self.pool) as session, session.begin():
            return await repository.claim_jobs(session, ClaimRequest("work", self.worker, now, most), after)

    async def claims(self, most: int, now: datetime = START) -> list[UUID]:
        """Claim like the engine until no more jobs are due; returns the workspaces of the started jobs, in order."""
        started: list[UUID] = []
        after: UUID | None = None
        while True:
            claim = await self.claim(most, now, after)
            started += [job.workspace_id for job in claim.jobs]
            after = (claim.last_visited or FIRST_ID) if claim.has_more else None
            if not claim.has_more and len(claim.jobs) + claim.moved < most:
                return started


@pytest.fixture
async def queue(database_url: str) -> AsyncIterator[Queue]:
    """An empty queue, and a worker."""
    owner = owner_url(database_url)
    pool = create_pool(role_url(owner, ENGINE_ROLE), size=4)
    async with await psycopg.AsyncConnection.connect(libpq_url(owner), autocommit=True) as connection:
        made = await connection.execute("INSERT INTO app.accounts (name) VALUES ('Acme') RETURNING id")
        (account,) = await made.fetchone() or (FIRST_ID,)
        async with AsyncSession(pool) as session, session.begin():
            worker = await jobs.register_worker(session, "here")
        yield Queue(pool, connection, worker, account)
    await pool.dispose()


async def test_the_oldest_come_first(queue: Queue) -> None:
    """While one claim sees all due jobs, they start in the order of their due times."""
    early, late = await queue.workspace(), await queue.workspace()
    await queue.add(late, 1, START)
    await queue.add(early, 1, START - timedelta(hours=1))
    assert await queue.claims(10) == [early, late]


async def test_many_jobs_of_one_workspace_do_not_delay_others(queue: Queue) -> None:
    """Workspaces with a few due jobs get theirs started among the first, beside one with thousands of older jobs."""
    flooder = await queue.workspace()
    others = [await queue.workspace() for _ in range(30)]
    await queue.add(flooder, 3000, START - timedelta(hours=1))
    for other in others:
        await queue.add(other, 3)
    started = await queue.claims(50)
    assert Counter(started) == Counter({flooder: 3000, **dict.fromkeys(others, 3)})
    last = max(index for index, workspace in enumerate(started) if workspace != flooder)
    assert last < 300


async def test_the_rotation_visits_every_workspace(queue: Queue) -> None:
    """If more workspaces wait than one claim visits, the next claim visits the following ones."""
    number = repository.MAX_VISITED_WORKSPACES + 50
    workspaces = [await queue.workspace() for _ in range(number)]
    for workspace in workspaces:
        await queue.add(workspace, 10)
    started = await queue.claims(repository.MAX_VISITED_WORKSPACES)
    assert len(started) == number * 10
    # The first claim does not know yet that it is crowded.
    assert set(started[: 3 * repository.MAX_VISITED_WORKSPACES]) == set(workspaces)


@pytest.mark.parametrize("workers", [1, 4])
async def test_a_rate_is_exact(queue: Queue, workers: int) -> None:
    """With ten per second and a burst of five, 5 jobs start at once and 10 per second, for any number of workers."""
    workspaces = [await queue.workspace() for _ in range(3)]
    for workspace in workspaces:
        await queue.limit(workspace, timedelta(milliseconds=100), 5)
        await queue.add(workspace, 200)
    free = await queue.workspace()
    await queue.add(free, 40)
    started: Counter[UUID] = Counter()
    for second in range(6):
        now = START + timedelta(seconds=second)
        for one in await asyncio.gather(*(queue.claims(20, now) for _ in range(workers))):
            started.update(one)
        assert started == Counter({free: 40, **dict.fromkeys(workspaces, 5 + 10 * second)})


async def test_a_job_over_its_rate_is_rescheduled_once(queue: Queue) -> None:
    """Its slot is reserved and it is not claimed before; `scheduled_for`, which the API shows, does not change."""
    workspace = await queue.workspace()
    await queue.limit(workspace, timedelta(minutes=1), 1)
    await queue.add(workspace, 3)
    first = await queue.claim(10)
    assert (len(first.jobs), first.moved) == (1, 2)
    again = await queue.claim(10, START + timedelta(seconds=59))
    assert (len(again.jobs), again.moved) == (0, 0)
    rows = await (
        await queue.owner.execute(
            "SELECT run_at, scheduled_for < %s FROM app.scheduled_jobs WHERE status = 'pending' ORDER BY run_at",
            [START],
        )
    ).fetchall()
    assert rows == [(START + timedelta(minutes=1), True), (START + timedelta(minutes=2), True)]
    assert len((await queue.claim(10, START + timedelta(minutes=1))).jobs) == 1


async def test_a_retry_uses_another_slot(queue: Queue) -> None:
    """A failed job uses a new slot for its retry; a job that waits for its slot does not use a second one."""
    workspace = await queue.workspace()
    await queue.limit(workspace, timedelta(minutes=1), 1)
    await queue.add(workspace, 1)
    (job,) = (await queue.claim(10)).jobs
    async with AsyncSession(queue.pool) as session, session.begin():
        ending = Ending(job.id, job.attempts, JobStatus.PENDING, START + timedelta(seconds=10), "no luck")
        await repository.finish_jobs(session, queue.worker, START, [ending])
    assert (await queue.claim(10, START + timedelta(seconds=30))).jobs == []
    assert len((await queue.claim(10, START + timedelta(minutes=1))).jobs) == 1


@pytest.mark.parametrize("after", [None, FIRST_ID])
async def test_a_claim_does_not_read_future_jobs(queue: Queue, after: UUID | None) -> None:
    """A claim reads the due jobs and a few others, with any number of future jobs."""
    busy = [await queue.workspace() for _ in range(5)]
    for workspace in busy:
        await queue.add(workspace, 20_000, START + timedelta(days=30))
        await queue.add(workspace, 4)
    await queue.owner.execute("ANALYZE app.scheduled_jobs")
    async with AsyncSession(queue.pool) as session, session.begin():
        before = await _rows_read(session)
        claim = await repository.claim_jobs(session, ClaimRequest("work", queue.worker, START, 100), after)
        assert len(claim.jobs) == 20
        assert await _rows_read(session) - before < 400


async def _rows_read(session: AsyncSession) -> int:
    """Return how many rows of the queue this transaction has read so far."""
    counted = text(
        "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables"
        " WHERE relname = 'scheduled_jobs'"
    )
    return int((await session.execute(counted)).scalar_one())

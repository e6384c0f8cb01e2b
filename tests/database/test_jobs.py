import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import func, literal, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from database.engine import create_pool
from database.jobs import Job, enqueue, enqueue_from_select
from database.models import Account, ScheduledJob, Workspace
from database.roles import APP_ROLE, owner_url, role_url
from database.tenancy import Scope, transaction

pytestmark = pytest.mark.anyio

DUE = datetime(2026, 3, 4, 10, tzinfo=UTC)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[AsyncEngine]:
    """Connections as the app's role."""
    pool = create_pool(role_url(owner_url(database_url), APP_ROLE), size=2)
    yield pool
    await pool.dispose()


@pytest.fixture
async def workspace(database_url: str) -> UUID:
    """A workspace."""
    owner = create_pool(owner_url(database_url), size=1)
    async with AsyncSession(owner) as session, session.begin():
        account = Account(name="Acme")
        session.add(account)
        await session.flush()
        workspace = Workspace(
            account_id=account.id, name="W", default_from_name="A", default_from_email="a@acme.example"
        )
        session.add(workspace)
        await session.flush()
        workspace_id = workspace.id
    await owner.dispose()
    return workspace_id


async def list_jobs(pool: AsyncEngine, workspace: UUID) -> list[ScheduledJob]:
    """Return the workspace's jobs in the order of their creation."""
    async with transaction(pool, Scope(workspace_id=workspace)) as session:
        return list(await session.scalars(select(ScheduledJob).order_by(ScheduledJob.id)))


async def test_a_job_is_enqueued_in_the_callers_transaction(pool: AsyncEngine, workspace: UUID) -> None:
    """A job of a transaction that rolls back does not exist; after a commit it has the given values."""
    with contextlib.suppress(RuntimeError):
        async with transaction(pool, Scope(workspace_id=workspace)) as session:
            assert await enqueue(session, "send_email", workspace, [Job(DUE)]) == 1
            raise RuntimeError
    assert await list_jobs(pool, workspace) == []

    async with transaction(pool, Scope(workspace_id=workspace)) as session:
        assert await enqueue(session, "send_email", workspace, [Job(DUE, {"draft_id": "x"})], max_attempts=3) == 1
    (job,) = await list_jobs(pool, workspace)
    assert (job.job_type, job.status, job.attempts, job.max_attempts) == ("send_email", "pending", 0, 3)
    assert (job.scheduled_for, job.run_at, job.payload) == (DUE, DUE, {"draft_id": "x"})


async def test_a_dedupe_key_enqueues_a_job_once(pool: AsyncEngine, workspace: UUID) -> None:
    """Jobs with the same type and key are enqueued once, within a call and across calls; jobs without a key always."""
    async with transaction(pool, Scope(workspace_id=workspace)) as session:
        twins = [Job(DUE, dedupe_key="a"), Job(DUE, dedupe_key="a"), Job(DUE, dedupe_key="b")]
        assert await enqueue(session, "generate_draft", workspace, twins) == 2
    async with transaction(pool, Scope(workspace_id=workspace)) as session:
        assert await enqueue(session, "generate_draft", workspace, [Job(DUE, dedupe_key="a")]) == 0
        assert await enqueue(session, "send_email", workspace, [Job(DUE, dedupe_key="a")]) == 1
        assert await enqueue(session, "send_email", workspace, [Job(DUE), Job(DUE)]) == 2
        assert await enqueue(session, "send_email", workspace, []) == 0
    assert len(await list_jobs(pool, workspace)) == 5


async def test_thousands_of_jobs_are_enqueued_at_once(pool: AsyncEngine, workspace: UUID) -> None:
    """A long list of jobs is enqueued with its payloads."""
    async with transaction(pool, Scope(workspace_id=workspace)) as session:
        assert await enqueue(session, "send_email", workspace, [Job(DUE, {"n": n}) for n in range(2500)]) == 2500
    assert {job.payload["n"] for job in await list_jobs(pool, workspace)} == set(range(2500))


async def test_jobs_are_enqueued_from_a_select(pool: AsyncEngine, workspace: UUID) -> None:
    """One statement enqueues a job for each row of a query."""
    numbers = func.generate_series(1, 3).table_valued("n").render_derived()
    work = select(func.jsonb_build_object("n", numbers.c.n), literal(DUE))
    async with transaction(pool, Scope(workspace_id=workspace)) as session:
        await enqueue_from_select(session, "send_email", workspace, work, max_attempts=2)
    jobs = await list_jobs(pool, workspace)
    assert sorted(job.payload["n"] for job in jobs) == [1, 2, 3]
    assert {(job.run_at, job.scheduled_for, job.max_attempts) for job in jobs} == {(DUE, DUE, 2)}

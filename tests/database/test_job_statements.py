"""The statements of workers and of the archive, at the exact bounds of each condition."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from database import jobs
from database.engine import create_pool
from database.roles import owner_url
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

JOBS, WORKERS = "app.scheduled_jobs", "app.job_workers"
FIRST, LAST = UUID(int=0), UUID(int=2**128 - 1)


@pytest.fixture
async def session(two_workspaces: TwoWorkspaces) -> AsyncIterator[AsyncSession]:
    """A transaction of the owner, in which `now()` of the database is constant."""
    pool = create_pool(owner_url(two_workspaces.url), size=1)
    async with AsyncSession(pool) as session, session.begin():
        yield session
    await pool.dispose()


async def fetch_rows(session: AsyncSession, statement: str, **values: Any) -> list[Any]:
    """Return the rows of a statement."""
    result: Any = await session.execute(text(statement), values)
    return [tuple(row) for row in result] if result.returns_rows else []


async def archive(session: AsyncSession, *, after: UUID = FIRST, age: float = -60, most: int = 50) -> Any:
    """Archive the jobs that ended before NOW."""
    return await jobs.archive_jobs(session, after=after, age_seconds=age, before=NOW, slots_before=NOW, most=most)


async def test_a_scan_continues_after_the_last_one(two_workspaces: TwoWorkspaces, session: AsyncSession) -> None:
    """A scan starts after the given id, ends after `most` jobs, and archives only ended jobs that it scanned."""
    two_workspaces.owner.execute("DELETE FROM app.scheduled_jobs")
    ended = {"status": "completed", "completed_at": NOW - timedelta(days=1)}
    ids = [two_workspaces.add(JOBS, id=UUID(int=number), **ended) for number in range(1, 5)]

    assert await archive(session, after=ids[0], most=2) == (ids[2], True)
    assert await fetch_rows(session, "SELECT id FROM app.scheduled_jobs ORDER BY id") == [(ids[0],), (ids[3],)]
    assert await archive(session, after=ids[3], most=1) == (ids[3], False)
    assert await archive(session, after=LAST, most=1) == (LAST, False)


async def test_a_scan_ends_before_the_millisecond_of_the_age_limit(
    two_workspaces: TwoWorkspaces, session: AsyncSession
) -> None:
    """Jobs created in the millisecond of the age limit are not scanned, and jobs of the millisecond before are."""
    ended = {"status": "completed", "completed_at": NOW - timedelta(days=1)}
    age = 86_400
    ((milliseconds,),) = await fetch_rows(
        session, "SELECT CAST(extract(epoch FROM now() - make_interval(secs => :age)) * 1000 AS bigint)", age=age
    )
    young, old = (two_workspaces.add(JOBS, id=UUID(int=(milliseconds << 80) - less), **ended) for less in (0, 1))
    assert await archive(session, age=age) == (old, False)
    kept = "SELECT id FROM app.scheduled_jobs WHERE status = 'completed'"
    assert await fetch_rows(session, kept) == [(young,)]


async def test_a_worker_is_lost_and_deleted_at_exact_times(
    two_workspaces: TwoWorkspaces, session: AsyncSession
) -> None:
    """A worker is lost 60 s after its heartbeat and not a microsecond earlier, and deleted a microsecond after a day.

    A lost job is requeued while it has attempts left, and always when its type is in `verified`.
    """
    workspaces = two_workspaces
    ages = {"alive": 60 - 1e-6, "lost": 60, "lost for a day": 86_400, "deleted": 86_400 + 1e-6}
    workers = {name: workspaces.add(WORKERS) for name in ages}
    running = {"status": "running", "job_type": "work", "attempts": 2, "max_attempts": 3}
    job_ids = {name: workspaces.add(JOBS, locked_by=worker, **running) for name, worker in workers.items()}
    job_ids["last attempt"] = workspaces.add(JOBS, locked_by=workers["lost"], **running | {"attempts": 3})
    job_ids["verified"] = workspaces.add(
        JOBS, locked_by=workers["lost"], **running | {"attempts": 3, "job_type": "send_email"}
    )
    job_ids["without a worker"] = workspaces.add(JOBS, **running)
    await fetch_rows(session, "UPDATE app.job_workers SET beat_at = now()")
    for name, age in ages.items():
        statement = "UPDATE app.job_workers SET beat_at = now() - make_interval(secs => :age) WHERE id = :id"
        await fetch_rows(session, statement, age=age, id=workers[name])

    await jobs.requeue_lost_jobs(session, lost_after=60, now=NOW, verified=["send_email"])

    rows = await fetch_rows(session, "SELECT id, status, completed_at, locked_by FROM app.scheduled_jobs")
    jobs_by_id = {id_: tuple(row) for id_, *row in rows}
    requeued = ("pending", None, None)
    assert {name: jobs_by_id[job_id] for name, job_id in job_ids.items()} == {
        "alive": ("running", None, workers["alive"]),
        **dict.fromkeys(("lost", "lost for a day", "deleted", "verified", "without a worker"), requeued),
        "last attempt": ("failed", NOW, None),
    }
    remaining = await fetch_rows(
        session, "SELECT id FROM app.job_workers WHERE id = ANY(:ids)", ids=list(workers.values())
    )
    assert {id_ for (id_,) in remaining} == set(workers.values()) - {workers["deleted"]}


async def test_a_heartbeat_is_recorded_for_its_worker_only(
    two_workspaces: TwoWorkspaces, session: AsyncSession
) -> None:
    """A heartbeat changes its own worker and no other."""
    worker = two_workspaces.add(WORKERS)
    await fetch_rows(session, "UPDATE app.job_workers SET beat_at = now() - interval '1 hour'")
    await jobs.record_heartbeat(session, worker)
    assert await fetch_rows(session, "SELECT id FROM app.job_workers WHERE beat_at = now()") == [(worker,)]


async def test_a_worker_releases_only_its_own_running_jobs(
    two_workspaces: TwoWorkspaces, session: AsyncSession
) -> None:
    """Running jobs are released when their worker stops or does not know them; other jobs and workers do not change."""
    workspaces = two_workspaces
    worker, other = (workspaces.add(WORKERS) for _ in range(2))
    own = {"status": "running", "job_type": "work", "locked_by": worker}
    known, unknown = (workspaces.add(JOBS, **own) for _ in range(2))
    other_type = workspaces.add(JOBS, **own | {"job_type": "other"})
    kept = {workspaces.add(JOBS, **own | {"locked_by": other}), workspaces.add(JOBS, **own | {"status": "completed"})}
    running = "SELECT id FROM app.scheduled_jobs WHERE locked_by IS NOT NULL"

    await jobs.release_unknown_claims(session, job_type="work", worker=worker, known=[known], now=NOW)
    assert {id_ for (id_,) in await fetch_rows(session, running)} == {known, other_type} | kept
    await jobs.retire_worker(session, worker, NOW)
    assert {id_ for (id_,) in await fetch_rows(session, running)} == kept
    released = "SELECT id FROM app.scheduled_jobs WHERE status = 'pending' AND run_at = :now AND max_attempts = 6"
    assert {id_ for (id_,) in await fetch_rows(session, released, now=NOW)} == {known, unknown, other_type}
    assert await fetch_rows(session, "SELECT id FROM app.job_workers WHERE id = ANY(:ids)", ids=[worker, other]) == [
        (other,)
    ]

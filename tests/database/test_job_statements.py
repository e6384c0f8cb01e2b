"""Each statement of workers and of the archive beside rows that differ in one condition, by times that are exact."""

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
    """One transaction of the owner, in which the database's clock stands still."""
    pool = create_pool(owner_url(two_workspaces.url), size=1)
    async with AsyncSession(pool) as session, session.begin():
        yield session
    await pool.dispose()


async def ask(session: AsyncSession, statement: str, **values: Any) -> list[Any]:
    """Return the rows of a statement."""
    result: Any = await session.execute(text(statement), values)
    return [tuple(row) for row in result] if result.returns_rows else []


async def archive(session: AsyncSession, *, after: UUID = FIRST, age: float = -60, most: int = 50) -> Any:
    """Archive what ended before NOW."""
    return await jobs.archive(session, after=after, age_seconds=age, before=NOW, slots_before=NOW, most=most)


async def test_a_walk_looks_only_at_what_is_next(two_workspaces: TwoWorkspaces, session: AsyncSession) -> None:
    """A walk begins behind the last one, ends after so many, and archives of what has ended only what it looked at."""
    two_workspaces.owner.execute("DELETE FROM app.scheduled_jobs")
    ended = {"status": "completed", "completed_at": NOW - timedelta(days=1)}
    ids = [two_workspaces.add(JOBS, id=UUID(int=number), **ended) for number in range(1, 5)]

    assert await archive(session, after=ids[0], most=2) == (ids[2], True)
    assert await ask(session, "SELECT id FROM app.scheduled_jobs ORDER BY id") == [(ids[0],), (ids[3],)]
    assert await archive(session, after=ids[3], most=1) == (ids[3], False)
    assert await archive(session, after=LAST, most=1) == (LAST, False)


async def test_a_walk_ends_before_the_millisecond_of_the_youngest(
    two_workspaces: TwoWorkspaces, session: AsyncSession
) -> None:
    """Of jobs made at an age, those of the very millisecond are not looked at, and those of the one before are."""
    ended = {"status": "completed", "completed_at": NOW - timedelta(days=1)}
    age = 86_400
    ((milliseconds,),) = await ask(
        session, "SELECT CAST(extract(epoch FROM now() - make_interval(secs => :age)) * 1000 AS bigint)", age=age
    )
    young, old = (two_workspaces.add(JOBS, id=UUID(int=(milliseconds << 80) - less), **ended) for less in (0, 1))
    assert await archive(session, age=age) == (old, False)
    kept = "SELECT id FROM app.scheduled_jobs WHERE status = 'completed'"
    assert await ask(session, kept) == [(young,)]


async def test_a_worker_is_lost_and_forgotten_at_exact_times(
    two_workspaces: TwoWorkspaces, session: AsyncSession
) -> None:
    """A worker that beat a minute ago is lost and one a tick later is not; after a day and a tick it is forgotten.

    A lost job goes back until its last attempt, or always where its type is verified.
    """
    workspaces = two_workspaces
    ages = {"alive": 60 - 1e-6, "lost": 60, "of a day": 86_400, "forgotten": 86_400 + 1e-6}
    workers = {name: workspaces.add(WORKERS) for name in ages}
    running = {"status": "running", "job_type": "work", "attempts": 2, "max_attempts": 3}
    held = {name: workspaces.add(JOBS, locked_by=worker, **running) for name, worker in workers.items()}
    held["last attempt"] = workspaces.add(JOBS, locked_by=workers["lost"], **running | {"attempts": 3})
    held["verified"] = workspaces.add(
        JOBS, locked_by=workers["lost"], **running | {"attempts": 3, "job_type": "send_email"}
    )
    held["of nobody"] = workspaces.add(JOBS, **running)
    await ask(session, "UPDATE app.job_workers SET beat_at = now()")
    for name, age in ages.items():
        statement = "UPDATE app.job_workers SET beat_at = now() - make_interval(secs => :age) WHERE id = :id"
        await ask(session, statement, age=age, id=workers[name])

    await jobs.reap(session, lost_after=60, now=NOW, verified=["send_email"])

    rows = await ask(session, "SELECT id, status, completed_at, locked_by FROM app.scheduled_jobs")
    found = {id_: tuple(row) for id_, *row in rows}
    back = ("pending", None, None)
    assert {name: found[job_id] for name, job_id in held.items()} == {
        "alive": ("running", None, workers["alive"]),
        **dict.fromkeys(("lost", "of a day", "forgotten", "verified", "of nobody"), back),
        "last attempt": ("failed", NOW, None),
    }
    left = await ask(session, "SELECT id FROM app.job_workers WHERE id = ANY(:ids)", ids=list(workers.values()))
    assert {id_ for (id_,) in left} == set(workers.values()) - {workers["forgotten"]}


async def test_a_worker_beats_for_itself(two_workspaces: TwoWorkspaces, session: AsyncSession) -> None:
    """A beat dates its own worker, and no other."""
    worker = two_workspaces.add(WORKERS)
    await ask(session, "UPDATE app.job_workers SET beat_at = now() - interval '1 hour'")
    await jobs.beat(session, worker)
    assert await ask(session, "SELECT id FROM app.job_workers WHERE beat_at = now()") == [(worker,)]


async def test_a_worker_gives_back_what_is_its_own_and_runs(
    two_workspaces: TwoWorkspaces, session: AsyncSession
) -> None:
    """What a worker runs goes back when it stops, or where it does not know of it; no other job and worker changes."""
    workspaces = two_workspaces
    worker, other = (workspaces.add(WORKERS) for _ in range(2))
    own = {"status": "running", "job_type": "work", "locked_by": worker}
    known, unknown = (workspaces.add(JOBS, **own) for _ in range(2))
    other_type = workspaces.add(JOBS, **own | {"job_type": "other"})
    kept = {workspaces.add(JOBS, **own | {"locked_by": other}), workspaces.add(JOBS, **own | {"status": "completed"})}
    running = "SELECT id FROM app.scheduled_jobs WHERE locked_by IS NOT NULL"

    await jobs.give_back_unknown(session, job_type="work", worker=worker, known=[known], now=NOW)
    assert {id_ for (id_,) in await ask(session, running)} == {known, other_type} | kept
    await jobs.retire_worker(session, worker, NOW)
    assert {id_ for (id_,) in await ask(session, running)} == kept
    back = "SELECT id FROM app.scheduled_jobs WHERE status = 'pending' AND run_at = :now AND max_attempts = 6"
    assert {id_ for (id_,) in await ask(session, back, now=NOW)} == {known, unknown, other_type}
    assert await ask(session, "SELECT id FROM app.job_workers WHERE id = ANY(:ids)", ids=[worker, other]) == [(other,)]

"""The limits of the statements behind the gauges: due, later, recently failed and alive, to the microsecond."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from api.telemetry import repository
from database.engine import create_pool
from database.roles import owner_url
from tests.api.telemetry.conftest import Queue
from tests.business_clock import business_now

pytestmark = pytest.mark.anyio

MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
async def session(database_url: str) -> AsyncIterator[AsyncSession]:
    """A session that sees the queue of every workspace."""
    pool = create_pool(owner_url(database_url), size=1)
    async with AsyncSession(pool) as opened:
        yield opened
    await pool.dispose()


def set_times(owner: psycopg.Connection, job_type: str, at: datetime) -> None:
    """Set the times of the only job of a type: when it is due, and when it ended if it has ended."""
    owner.execute(
        "UPDATE app.scheduled_jobs"
        " SET run_at = %(at)s, completed_at = CASE WHEN completed_at IS NOT NULL THEN %(at)s END"
        " WHERE job_type = %(job_type)s",
        {"at": at, "job_type": job_type},
    )


async def test_jobs_are_due_from_their_exact_time(session: AsyncSession, queue: Queue) -> None:
    """A job is due at its exact time, and later a microsecond before; types with only ended jobs are not found."""
    workspace, now = queue.workspace(), business_now()
    for job_type, at in (("due", now), ("later", now + MICROSECOND), ("past", now - MICROSECOND)):
        queue.add(workspace, job_type=job_type)
        set_times(queue.owner, job_type, at)
    for job_type in ("aaa", "kkk", "past", "zzz"):
        for status in ("completed", "failed", "cancelled", "running"):
            queue.add(workspace, job_type=job_type, status=status, seconds=-500)
            queue.add(workspace, job_type=job_type, status=status, seconds=500)
    rows = await repository.count_waiting(session, ["idle", "past"], now)
    assert sorted((row.job_type, row.due, row.oldest, row.later) for row in rows) == [
        ("due", 1, now, 0),
        ("idle", 0, None, 0),
        ("later", 0, None, 1),
        ("past", 1, now - MICROSECOND, 0),
    ]


async def test_shares_count_due_jobs(session: AsyncSession, queue: Queue) -> None:
    """Only due jobs of the type count for shares, and none of another type, another status, or a later time."""
    now, job_type = business_now(), "send_email"
    large, small, waiting, other, ended = (queue.workspace() for _ in range(5))
    queue.add(large, 3)
    queue.add(small)
    queue.add(waiting)
    queue.owner.execute(
        "UPDATE app.scheduled_jobs SET run_at = CASE workspace_id WHEN %s THEN %s ELSE %s END"
        " WHERE workspace_id = ANY(%s)",
        [waiting, now + MICROSECOND, now, [small, waiting]],
    )
    for workspace in (small, other):
        queue.add(workspace, 5, job_type="sweep")
    for workspace in (small, ended):
        for status in ("completed", "running", "failed"):
            queue.add(workspace, 5, status=status)
    row = await repository.count_shares(session, job_type, now)
    assert (row.workspaces, float(row.largest_share)) == (2, 0.75)
    nothing = await repository.count_shares(session, "idle", now)
    assert (nothing.workspaces, nothing.largest_share) == (0, 0)


async def test_running_and_failed_jobs_are_counted_separately(session: AsyncSession, queue: Queue) -> None:
    """Running jobs count whenever they started; failed jobs count if they failed after a time, and no others."""
    workspace, now = queue.workspace(), business_now()
    for job_type, status, at in (
        ("before", "failed", now - MICROSECOND),
        ("then", "failed", now),
        ("after", "failed", now + MICROSECOND),
        ("completed", "completed", now + MICROSECOND),
        ("cancelled", "cancelled", now + MICROSECOND),
        ("running", "running", now + MICROSECOND),
        ("pending", "pending", now + MICROSECOND),
    ):
        queue.add(workspace, job_type=job_type, status=status)
        set_times(queue.owner, job_type, at)
    assert await repository.count_failed(session, now) == {"after": 1}
    assert await repository.count_running(session) == {"running": 1}


async def test_a_worker_is_alive_for_less_than_its_seconds(session: AsyncSession) -> None:
    """A heartbeat exactly at the limit is too old, and one a microsecond later is not."""
    insert = "INSERT INTO app.job_workers (host, beat_at) VALUES (:host, now() - make_interval(secs => 60) + :younger)"
    for host, younger in (("a", timedelta(0)), ("b", MICROSECOND), ("c", -MICROSECOND)):
        await session.execute(sa.text(insert), {"host": host, "younger": younger})
    assert await repository.count_workers(session, 60) == 1

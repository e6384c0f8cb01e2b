"""The queue with business time a year away from the database's clock: each comparison uses the right clock."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.jobs import repository, service
from api.jobs.repository import ClaimRequest, Ending
from api.telemetry import repository as metrics
from database import jobs
from database.engine import create_pool
from database.models import JobStatus
from database.roles import connect, owner_url
from tests.business_clock import YEAR

pytestmark = pytest.mark.anyio

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Queue:
    """A workspace whose business time is `now`, a session on the queue, and two workers, one of them lost."""

    now: datetime
    workspace: UUID
    session: AsyncSession
    owner: psycopg.Connection
    alive: UUID
    silent: UUID

    def add(self, run_at: datetime, status: str = "pending", **values: Any) -> UUID:
        """Add a job of business times and return its id."""
        row = {
            "workspace_id": self.workspace,
            "job_type": "work",
            "status": status,
            "scheduled_for": run_at,
            "run_at": run_at,
            **values,
        }
        names, places = ", ".join(row), ", ".join(["%s"] * len(row))
        statement = f"INSERT INTO app.scheduled_jobs ({names}) VALUES ({places}) RETURNING id"
        made = self.owner.execute(statement.encode(), list(row.values())).fetchone()
        assert made is not None
        id_: UUID = made[0]
        return id_

    def running(self, worker: UUID, **values: Any) -> UUID:
        """Add a job that a worker runs."""
        return self.add(self.now - MINUTE, "running", locked_by=worker, started_at=self.now, attempts=1, **values)

    def job(self, id_: UUID, *columns: str) -> tuple[Any, ...]:
        """Return columns of a job."""
        statement = f"SELECT {', '.join(columns)} FROM app.scheduled_jobs WHERE id = %s"
        row = self.owner.execute(statement.encode(), [id_]).fetchone()
        assert row is not None
        return row


@pytest.fixture
def owner(database_url: str) -> Iterator[psycopg.Connection]:
    """The owner of the tables."""
    with connect(owner_url(database_url)) as connection:
        yield connection


@pytest.fixture(params=[YEAR, -YEAR], ids=["ahead", "behind"])
async def queue(database_url: str, owner: psycopg.Connection, request: pytest.FixtureRequest) -> AsyncIterator[Queue]:
    """An empty queue of a fresh workspace."""
    made = owner.execute(
        "WITH made AS (INSERT INTO app.accounts (name) VALUES ('Acme') RETURNING id) INSERT INTO app.workspaces"
        " (account_id, name, default_from_name, default_from_email)"
        " SELECT id, 'W', 'A', 'a@acme.example' FROM made RETURNING id"
    ).fetchone()
    workers = owner.execute(
        "INSERT INTO app.job_workers (host, beat_at) VALUES ('alive', now()), ('silent', now() - interval '1 hour')"
        " RETURNING id"
    ).fetchall()
    assert made is not None
    pool = create_pool(owner_url(database_url), size=1)
    async with AsyncSession(pool) as session:
        yield Queue(datetime.now(UTC) + request.param, made[0], session, owner, workers[0][0], workers[1][0])
    await pool.dispose()


@pytest.mark.parametrize("way", ["freely", "oldest first", "in turn"])
async def test_claims_use_business_time(queue: Queue, way: str) -> None:
    """A claim starts the job that is due in business time, records that time, and leaves the one a minute later."""
    due, later = queue.add(queue.now - MINUTE), queue.add(queue.now + MINUTE)
    request = ClaimRequest("work", queue.alive, queue.now, 10)

    if way == "freely":
        claim = await repository.claim_without_rates(queue.session, request)
    else:
        claim = await repository.claim_jobs(queue.session, request, UUID(int=0) if way == "in turn" else None)
    await queue.session.commit()

    assert [job.id for job in claim.jobs] == [due]
    assert queue.job(due, "status", "started_at") == ("running", queue.now)
    assert queue.job(later, "status", "started_at") == ("pending", None)


async def test_rates_use_business_time(queue: Queue) -> None:
    """Of two due jobs with a rate of one per hour, the first starts and the second gets a slot an hour later."""
    queue.owner.execute(
        "INSERT INTO app.workspace_limits (workspace_id, job_type, interval, burst, theoretical_arrival_at)"
        " VALUES (%s, 'work', '1 hour', 1, %s)",
        [queue.workspace, queue.now - DAY],
    )
    ids = [queue.add(queue.now - MINUTE), queue.add(queue.now - SECOND)]

    claim = await repository.claim_jobs(queue.session, ClaimRequest("work", queue.alive, queue.now, 10))
    await queue.session.commit()

    assert [job.id for job in claim.jobs] == ids[:1]
    assert queue.job(ids[1], "status", "run_at") == ("pending", queue.now + timedelta(hours=1))


async def test_workers_are_lost_by_real_time_and_jobs_end_by_business_time(queue: Queue) -> None:
    """Only the lost worker loses its jobs; one without attempts left fails at the business time."""
    kept, lost = queue.running(queue.alive), queue.running(queue.silent, max_attempts=1)

    reaped = await jobs.requeue_lost_jobs(queue.session, lost_after=20, now=queue.now, verified=[])
    await queue.session.commit()

    assert [job.status for job in reaped] == ["failed"]
    assert queue.job(kept, "status", "completed_at") == ("running", None)
    assert queue.job(lost, "status", "completed_at") == ("failed", queue.now)
    assert await metrics.count_workers(queue.session, 20) == 1


async def test_workers_are_remembered_for_a_real_day(queue: Queue) -> None:
    """A heartbeat has the database's time, and a worker without one for a real day is deleted."""
    queue.owner.execute("INSERT INTO app.job_workers (host, beat_at) VALUES ('gone', now() - interval '25 hours')")

    await jobs.record_heartbeat(queue.session, queue.silent)
    await jobs.requeue_lost_jobs(queue.session, lost_after=20, now=queue.now, verified=[])
    await queue.session.commit()

    rows = queue.owner.execute("SELECT host, beat_at > now() - interval '1 minute' FROM app.job_workers").fetchall()
    assert set(rows) == {("alive", True), ("silent", True)}


async def test_released_jobs_are_due_in_business_time(queue: Queue) -> None:
    """A job that a worker does not know, and one of a worker that stops, may run again at once."""
    unknown = queue.running(queue.alive)
    await jobs.release_unknown_claims(queue.session, job_type="work", worker=queue.alive, known=[], now=queue.now)
    stopped = queue.running(queue.silent)
    await queue.session.commit()
    await jobs.retire_worker(queue.session, queue.silent, queue.now)
    await queue.session.commit()

    for job in (unknown, stopped):
        assert queue.job(job, "status", "run_at") == ("pending", queue.now)


async def test_jobs_end_and_wait_by_business_time(queue: Queue) -> None:
    """The times of a completed, failed, cancelled or retried job are business times."""
    done, failed, again = (queue.running(queue.alive) for _ in range(3))
    endings = [
        Ending(done, 1, JobStatus.COMPLETED),
        Ending(failed, 1, JobStatus.FAILED, error="no"),
        Ending(again, 1, JobStatus.PENDING, run_at=queue.now + MINUTE),
    ]
    await repository.finish_jobs(queue.session, queue.alive, queue.now, endings)
    waiting = queue.add(queue.now + DAY)
    await queue.session.commit()
    assert queue.job(failed, "status", "completed_at") == ("failed", queue.now)
    await service.cancel_job(queue.session, queue.workspace, waiting, queue.now)
    await service.retry_job(queue.session, queue.workspace, failed, queue.now + SECOND)
    await queue.session.commit()

    assert queue.job(done, "status", "completed_at") == ("completed", queue.now)
    assert queue.job(again, "status", "run_at", "completed_at") == ("pending", queue.now + MINUTE, None)
    assert queue.job(waiting, "status", "completed_at") == ("cancelled", queue.now)
    assert queue.job(failed, "status", "run_at", "completed_at") == ("pending", queue.now + SECOND, None)


async def test_jobs_are_archived_thirty_business_days_after_their_end(queue: Queue) -> None:
    """The end of a job is compared in business time, and its age, which its id contains, in real time."""
    before = queue.now - 30 * DAY

    def made(age: timedelta) -> UUID:
        return UUID(int=int((datetime.now(UTC) - age).timestamp() * 1000) << 80 | uuid4().int >> 48)

    old = queue.add(before - MINUTE, "completed", completed_at=before - MINUTE, id=made(40 * DAY))
    young = queue.add(before, "completed", completed_at=before + MINUTE, id=made(40 * DAY))
    fresh = queue.add(before - MINUTE, "completed", completed_at=before - MINUTE, id=made(29 * DAY))
    await jobs.archive_jobs(
        queue.session, after=UUID(int=0), age_seconds=30 * 86_400, before=before, slots_before=before, most=10
    )
    await queue.session.commit()

    assert queue.owner.execute("SELECT id FROM app.archived_jobs").fetchall() == [(old,)]
    assert {id_ for (id_,) in queue.owner.execute("SELECT id FROM app.scheduled_jobs")} == {young, fresh}


async def test_metrics_of_the_queue_use_business_time(queue: Queue) -> None:
    """Due, later and recently failed jobs are counted by the business clock."""
    queue.add(queue.now - MINUTE)
    queue.add(queue.now + MINUTE)
    for ago in (MINUTE, 2 * DAY):
        queue.add(queue.now - ago, "failed", completed_at=queue.now - ago)

    (row,) = await metrics.count_waiting(queue.session, ["work"], queue.now)
    shares = await metrics.count_shares(queue.session, "work", queue.now)

    assert (row.due, row.later, row.oldest) == (1, 1, queue.now - MINUTE)
    assert (shares.workspaces, shares.largest_share) == (1, 1)
    assert await metrics.count_failed(queue.session, queue.now - timedelta(hours=1)) == {"work": 1}

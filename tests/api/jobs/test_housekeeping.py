"""Housekeeping of workers: recurring jobs, jobs that ended long ago, and jobs of lost workers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from api.jobs.engine import Engine, EngineSettings, Task, Work
from api.jobs.housekeeping import FIRST_ID
from database.engine import create_pool
from database.jobs import archive_jobs, enqueue_slot
from database.roles import APP_ROLE, ENGINE_ROLE, libpq_url, owner_url, role_url
from domain.clock import Clock
from domain.job import RunOutcome
from tests.api.running import stop_clock

pytestmark = pytest.mark.anyio

SOON = 30.0
NOW = datetime(2026, 3, 4, 10, 20, tzinfo=UTC)
SLOT = datetime(2026, 3, 4, 10, tzinfo=UTC)
DAY = timedelta(days=1)


class ObservedEnds:
    """Records what the engine observes."""

    def __init__(self) -> None:
        self.ended_as: list[tuple[str, RunOutcome]] = []

    def claimed(self, job_type: str, lag_seconds: float) -> None:
        """Ignore it."""

    def ended(self, job_type: str, outcome: RunOutcome, seconds: float) -> None:
        """Record it."""
        assert seconds >= 0
        self.ended_as.append((job_type, outcome))


@dataclass(slots=True)
class House:
    """A queue with two workspaces and one that was deleted."""

    queue: AsyncEngine
    pool: AsyncEngine
    owner: psycopg.AsyncConnection
    workspaces: list[UUID]

    async def add(self, status: str = "completed", *, ended: datetime = NOW - 31 * DAY, **values: object) -> UUID:
        """Add a job that was created 40 real days ago and ended so; returns its id."""
        made = {
            "workspace_id": self.workspaces[0],
            "job_type": "work",
            "status": status,
            "scheduled_for": ended,
            "run_at": ended,
            "completed_at": ended if status in {"completed", "cancelled", "failed"} else None,
            **values,
        }
        id_ = made.setdefault(
            "id", UUID(int=int((datetime.now(UTC) - 40 * DAY).timestamp() * 1000) << 80 | uuid4().int >> 48)
        )
        names, slots = ", ".join(made), ", ".join(["%s"] * len(made))
        await self.owner.execute(
            f"INSERT INTO app.scheduled_jobs ({names}) VALUES ({slots})".encode(), list(made.values())
        )
        assert isinstance(id_, UUID)
        return id_

    async def archive_jobs(self, *, after: UUID = FIRST_ID, most: int = 100) -> tuple[UUID, bool]:
        """Archive what ended 30 days ago."""
        before = NOW - 30 * DAY
        async with AsyncSession(self.queue) as session, session.begin():
            return await archive_jobs(
                session, after=after, age_seconds=30 * 86400, before=before, slots_before=before, most=most
            )

    async def ids(self, table: str) -> set[object]:
        """Return the ids that are in a table."""
        return {id_ for (id_,) in await self.rows(f"SELECT id FROM app.{table}")}

    async def rows(self, query: str) -> list[tuple[object, ...]]:
        """Return what a query finds."""
        return await (await self.owner.execute(query.encode())).fetchall()

    def engine(
        self, *tasks: Task[None], clock: Clock, heard: ObservedEnds | None = None, **settings: float
    ) -> Engine[None]:
        """Return a quick worker."""
        return Engine(
            queue=self.queue,
            pool=self.pool,
            clock=clock,
            tasks=tasks,
            resources=None,
            settings=EngineSettings(**{"poll_seconds": 0.01, "heartbeat_seconds": 0.05, **settings}),
            observer=heard or ObservedEnds(),
        )


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    """Workspaces without jobs."""
    owner = owner_url(database_url)
    pools = create_pool(role_url(owner, ENGINE_ROLE), size=8), create_pool(role_url(owner, APP_ROLE), size=2)
    async with await psycopg.AsyncConnection.connect(libpq_url(owner), autocommit=True) as connection:
        made = await connection.execute(
            "WITH made AS (INSERT INTO app.accounts (name) VALUES ('Acme') RETURNING id) INSERT INTO app.workspaces"
            " (account_id, name, default_from_name, default_from_email, deleted_at)"
            " SELECT id, 'W', 'A', 'a@acme.example', gone FROM made, unnest(%s::timestamptz[]) AS gone"
            " RETURNING id, deleted_at",
            [[None, None, NOW]],
        )
        workspaces = [id_ for id_, deleted_at in await made.fetchall() if deleted_at is None]
        yield House(*pools, connection, workspaces)
    for pool in pools:
        await pool.dispose()


async def nothing(_work: Work[None]) -> None:
    """Do nothing."""


async def test_jobs_that_ended_long_ago_are_archived(house: House) -> None:
    """Jobs completed or cancelled 30 days ago are archived; newer, failed and open ones stay."""
    gone = {await house.add(), await house.add("cancelled")}
    stay = {
        await house.add(ended=NOW - 29 * DAY),
        await house.add("failed"),
        await house.add("pending"),
        await house.add("running", attempts=1),
        await house.add(id=uuid4(), dedupe_key="once"),
    }
    await house.archive_jobs()
    assert await house.ids("archived_jobs") == gone
    assert await house.ids("scheduled_jobs") == stay


async def test_an_archived_job_keeps_the_shown_columns(house: House) -> None:
    """An archived job keeps every shown column, and of its payload only the public ids and no secret."""
    draft = str(uuid4())
    payload = psycopg.types.json.Jsonb({"draftId": draft, "address": "thandi@lead.example"})
    job = await house.add("cancelled", payload=payload, attempts=2, last_error="no luck", started_at=NOW - 32 * DAY)
    shown = "id, workspace_id, job_type, scheduled_for, run_at, status, attempts, max_attempts, last_error"
    query = f"SELECT {shown}, started_at, completed_at, created_at FROM app."
    before = await house.rows(f"{query}scheduled_jobs")
    await house.archive_jobs()
    assert await house.rows(f"{query}archived_jobs") == before
    assert before[0][0] == job
    assert await house.rows("SELECT payload FROM app.archived_jobs") == [({"draftId": draft},)]


async def test_jobs_with_permanent_keys_are_not_archived(house: House) -> None:
    """A job with a dedupe key is never archived; a recurring job is archived after its slot."""
    keyed = await house.add(dedupe_key="once")
    slot = await house.add(dedupe_key="slot:2026-02-01T00:00:00.000000Z")
    present = await house.add(dedupe_key="slot:2026-03-04T00:00:00.000000Z", scheduled_for=NOW)
    await house.archive_jobs()
    assert await house.ids("archived_jobs") == {slot}
    assert await house.ids("scheduled_jobs") == {keyed, present}


async def test_a_scan_continues_where_it_stopped(house: House) -> None:
    """Batches continue without scanning a job twice, and do not scan recently created jobs."""
    jobs = sorted([await house.add() for _ in range(5)])
    (young,) = await house.rows(
        "INSERT INTO app.scheduled_jobs (workspace_id, job_type, status, scheduled_for, run_at, completed_at)"
        f" VALUES ('{house.workspaces[0]}', 'work', 'completed', now(), now(), '2020-01-01') RETURNING id"
    )
    first = await house.archive_jobs(most=3)
    assert first == (jobs[2], True)
    assert await house.archive_jobs(after=first[0], most=3) == (jobs[4], False)
    assert await house.archive_jobs(after=jobs[4], most=3) == (jobs[4], False)
    assert await house.ids("scheduled_jobs") == {young[0]}


async def test_a_locked_job_is_skipped(house: House) -> None:
    """Archiving does not wait: a row that another transaction locks stays, and is archived the next time."""
    held, free = await house.add("cancelled"), await house.add()
    async with house.owner.transaction():
        await house.owner.execute("SELECT FROM app.scheduled_jobs WHERE id = %s FOR UPDATE", [held])
        async with asyncio.timeout(SOON):
            await house.archive_jobs()
    assert await house.ids("archived_jobs") == {free}
    await house.archive_jobs()
    assert await house.ids("archived_jobs") == {free, held}


async def test_workers_archive_together(house: House) -> None:
    """Two running workers archive the queue together, each job once."""
    jobs = {await house.add() for _ in range(50)}
    clock = Clock(datetime.now(UTC).timestamp(), NOW)

    async def is_done() -> bool:
        return await house.ids("archived_jobs") == jobs

    async with asyncio.timeout(SOON):
        workers = [house.engine(Task("work", nothing, 1), clock=clock) for _ in range(2)]
        await asyncio.gather(*(worker.run_until(is_done) for worker in workers))
    assert await house.ids("scheduled_jobs") == set()


async def test_a_clock_that_hardly_moves_archives_nothing(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """If thirty days of business time are longer than a calendar, housekeeping still works."""
    done: list[UUID] = []

    async def run(work: Work[None]) -> None:
        done.append(work.job_id)
        if len(done) == 1:
            # It is found at the next heartbeat, after the work of this one.
            lost.append(await house.add("running", ended=NOW - 40 * DAY))

    async def is_done() -> bool:
        return len(done) == 2

    old = await house.add("completed", ended=NOW - 40 * DAY)
    lost = [await house.add("running", ended=NOW - 40 * DAY)]
    async with asyncio.timeout(SOON):
        await house.engine(Task("work", run, 1), clock=Clock(datetime.now(UTC).timestamp(), NOW, 1e-9)).run_until(
            is_done
        )
    assert done == lost
    assert await house.ids("scheduled_jobs") == {old, *lost}
    assert await house.ids("archived_jobs") == set()
    assert "Housekeeping of the queue failed" not in caplog.text


async def test_each_live_workspace_gets_one_job_per_slot(house: House) -> None:
    """Any number of workers enqueue and run one job of the current slot for each live workspace."""
    done: Counter[UUID] = Counter()

    async def run(work: Work[None]) -> None:
        assert work.scheduled_for == SLOT
        done[work.workspace_id] += 1

    async def is_done() -> bool:
        return await house.rows("SELECT count(*) FROM app.scheduled_jobs WHERE status = 'completed'") == [(2,)]

    clock = Clock(datetime.now(UTC).timestamp(), NOW)
    workers = [house.engine(Task("sweep", run, 2, every=timedelta(hours=1)), clock=clock) for _ in range(4)]
    async with asyncio.timeout(SOON):
        await asyncio.gather(*(worker.run_until(is_done) for worker in workers))
    assert done == dict.fromkeys(house.workspaces, 1)
    keys = await house.rows("SELECT workspace_id, dedupe_key FROM app.scheduled_jobs")
    assert sorted(keys, key=str) == sorted(
        ((one, "slot:2026-03-04T10:00:00.000000Z") for one in house.workspaces), key=str
    )


async def test_slots_without_a_worker_get_no_jobs_later(house: House) -> None:
    """After an outage only the current slot gets jobs; later each slot gets its own."""
    async with AsyncSession(house.queue) as session, session.begin():
        assert await enqueue_slot(session, "sweep", SLOT - 10 * DAY) == 2
        assert await enqueue_slot(session, "sweep", SLOT - 10 * DAY) == 0

    clock, hour = Clock(), timedelta(hours=1)
    stop_clock(clock, NOW)

    async def has_made_all() -> bool:
        """Set the clock to the next slot once the current one has its jobs."""
        ((last,),) = await house.rows("SELECT max(scheduled_for) FROM app.scheduled_jobs")
        assert isinstance(last, datetime)
        is_made = last == SLOT + (clock.now() - NOW)
        if is_made and clock.now() < NOW + 3 * hour:
            stop_clock(clock, clock.now() + hour)
            return False
        return is_made

    async with asyncio.timeout(SOON):
        await house.engine(Task("sweep", nothing, 2, every=hour), clock=clock).run_until(has_made_all)
    made = await house.rows("SELECT scheduled_for, count(*) FROM app.scheduled_jobs GROUP BY 1 ORDER BY 1")
    assert made == [(at, 2) for at in (SLOT - 10 * DAY, *(SLOT + number * hour for number in range(4)))]


async def test_a_permanently_lost_job_is_observed(house: House) -> None:
    """The observer gets the end of a job that failed because its worker was lost at its last attempt."""
    await house.add("running", attempts=5, started_at=NOW, completed_at=None)
    heard = ObservedEnds()

    async def is_done() -> bool:
        return bool(heard.ended_as)

    clock = Clock(datetime.now(UTC).timestamp(), NOW)
    async with asyncio.timeout(SOON):
        await house.engine(Task("work", nothing, 1), clock=clock, heard=heard).run_until(is_done)
    assert heard.ended_as == [("work", RunOutcome.FAILED)]

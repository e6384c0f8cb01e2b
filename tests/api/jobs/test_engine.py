import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from api.jobs.engine import Deferred, RetryLater, Unrecoverable, Work, backoff
from database.jobs import Job, enqueue
from database.tenancy import Scope, transaction
from tests.api.jobs.conftest import SOON, Queue

pytestmark = pytest.mark.anyio


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Poll until a condition holds."""
    async with asyncio.timeout(SOON):
        while not await holds():  # noqa: ASYNC110 - the database sends no event; there is a deadline
            await asyncio.sleep(0.01)


async def test_a_job_runs_once_with_its_payload(queue: Queue) -> None:
    """Each due job runs once, as its workspace, with its payload, and is recorded as completed and unlocked."""
    seen: list[Work[None]] = []

    async def run(work: Work[None]) -> None:
        seen.append(work)
        async with work.transaction() as session:
            visible = await session.scalar(text("SELECT count(*) FROM app.workspaces"))
            assert visible == 1

    await queue.add(*({"number": number} for number in range(25)))
    await queue.work_off(run)
    assert await queue.statuses() == {"completed": 25}
    assert sorted(work.payload["number"] for work in seen) == list(range(25))
    assert {(work.attempt, work.workspace_id) for work in seen} == {(1, queue.workspace)}
    held = await queue.owner.execute("SELECT FROM app.scheduled_jobs WHERE locked_by IS NOT NULL")
    assert held.rowcount == 0


async def test_other_types_and_future_jobs_are_not_claimed(queue: Queue) -> None:
    """A worker claims only due jobs of the types that it has a lane for."""
    done: list[UUID] = []

    async def run(work: Work[None]) -> None:
        done.append(work.job_id)

    await queue.add(job_type="something_else")
    async with transaction(queue.pool, Scope(workspace_id=queue.workspace)) as session:
        tomorrow = queue.clock.now() + timedelta(days=365)
        await enqueue(session, "work", queue.workspace, [Job(tomorrow)])
    await queue.add()

    async def one_is_done() -> bool:
        return (await queue.statuses())["completed"] == 1

    async with asyncio.timeout(SOON):
        await queue.engine(run).run_until(one_is_done)
    assert (await queue.statuses(), len(done)) == ({"pending": 2, "completed": 1}, 1)


@pytest.mark.parametrize(
    ("error", "waits"),
    [(RetryLater("busy", after_seconds=100.0), [(100, 100)] * 2), (ValueError("no luck"), [(8, 16), (16, 32)])],
    ids=["with advice", "without advice"],
)
async def test_failures_are_retried_with_backoff_and_then_final(
    queue: Queue, error: Exception, waits: list[tuple[float, float]]
) -> None:
    """Each failure waits as its error says, or for its backoff; its reason is stored; the last one is final."""
    failed_at: list[datetime] = []

    async def run(work: Work[None]) -> None:
        failed_at.append(work.clock.now())
        raise error

    await queue.add(max_attempts=6)
    await queue.owner.execute("UPDATE app.scheduled_jobs SET attempts = 3")
    for attempt, (least, most) in zip((4, 5), waits, strict=True):

        async def has_ended(attempt: int = attempt) -> bool:
            job = await queue.job()
            return (job["attempts"], job["status"]) == (attempt, "pending")

        async with asyncio.timeout(SOON):
            await queue.engine(run).run_until(has_ended)
        job, now = await queue.job(), queue.clock.now()
        in_business_time = timedelta(seconds=queue.clock.speed)
        assert failed_at[-1] + least * in_business_time <= job["run_at"] <= now + most * in_business_time
        assert job["last_error"] == f"{type(error).__name__}: {error}"
        queue.clock.virtual_start += job["run_at"] - queue.clock.now()

    await queue.work_off(run)
    job = await queue.job()
    assert (job["status"], job["attempts"], len(failed_at)) == ("failed", 6, 3)
    assert job["last_error"] == f"{type(error).__name__}: {error}"
    assert job["completed_at"] >= failed_at[-1]


async def test_backoff_doubles_up_to_an_hour() -> None:
    """A failed attempt waits 2 s, 4 s, 8 s … with jitter: at least half of it, and at most an hour."""
    for attempt, longest in ((1, 2), (2, 4), (5, 32), (30, 3600)):
        waits = [backoff(attempt) for _ in range(50)]
        assert all(longest / 2 <= wait <= longest for wait in waits)
        assert len(set(waits)) > 1


async def test_an_unexpected_error_is_a_failure_with_its_name(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    """Any exception of a task is stored by name, logged with its traceback, and does not end the worker."""

    async def run(work: Work[None]) -> None:
        raise ZeroDivisionError("by zero")

    await queue.add(max_attempts=1)
    await queue.work_off(run)
    assert (await queue.job())["last_error"] == "ZeroDivisionError: by zero"
    assert "Traceback" in caplog.text


async def test_an_unrecoverable_job_fails_at_once(queue: Queue) -> None:
    """An unrecoverable failure ends the job after one of many attempts."""

    async def run(work: Work[None]) -> None:
        raise Unrecoverable("there is no such draft")

    await queue.add(max_attempts=5)
    await queue.work_off(run)
    job = await queue.job()
    assert (job["status"], job["attempts"], job["last_error"]) == ("failed", 1, "there is no such draft")


async def test_a_deferral_is_no_attempt(queue: Queue) -> None:
    """A job that is deferred more often than its attempts runs at the last time; `scheduled_for` does not change."""
    times = 0
    due: datetime | None = None

    async def run(work: Work[None]) -> None:
        nonlocal times, due
        times += 1
        job, now = await queue.job(), work.clock.now()
        if due is not None:
            assert (job["run_at"], job["last_error"]) == (due, "the window is closed")
            assert now >= due
        if times <= 5:
            due = now + timedelta(seconds=5)
            raise Deferred(due, "the window is closed")

    await queue.add(max_attempts=1)
    scheduled_for = (await queue.job())["scheduled_for"]
    await queue.work_off(run)
    job = await queue.job()
    assert (job["status"], times, job["last_error"]) == ("completed", 6, None)
    assert job["scheduled_for"] == scheduled_for


async def lose(queue: Queue, *, attempts: int = 1, beat: str = "1 hour") -> None:
    """Assign the job to a worker whose last heartbeat is old."""
    await queue.owner.execute(
        "WITH lost AS (INSERT INTO app.job_workers (host, beat_at) VALUES ('gone', now() - %s::interval) RETURNING id)"
        " UPDATE app.scheduled_jobs SET status = 'running', attempts = %s, locked_by = (SELECT id FROM lost)",
        [beat, attempts],
    )


async def test_a_lost_workers_job_is_requeued(queue: Queue) -> None:
    """The job of a worker without heartbeats is run by another one, as a further attempt."""
    attempts: list[int] = []

    async def run(work: Work[None]) -> None:
        attempts.append(work.attempt)

    await queue.add()
    await lose(queue)
    await queue.work_off(run)
    assert attempts == [2]
    assert (await queue.job())["status"] == "completed"


async def test_a_job_that_keeps_losing_workers_fails(queue: Queue) -> None:
    """A lost job without attempts left fails, with the reason."""

    async def run(work: Work[None]) -> None:
        raise AssertionError("it must not run")

    await queue.add(max_attempts=2)
    await lose(queue, attempts=2)
    await queue.work_off(run)
    job = await queue.job()
    assert (job["status"], job["last_error"]) == ("failed", "The worker that ran this job was lost.")


async def test_a_lost_send_is_verified_without_attempts_left(queue: Queue) -> None:
    """A type that verifies the lost run itself runs again although no attempt is left."""
    attempts: list[int] = []

    async def run(work: Work[None]) -> None:
        attempts.append(work.attempt)

    await queue.add(max_attempts=1)
    await lose(queue)
    await queue.work_off(run, on_lost="verify")
    assert attempts == [2]
    assert (await queue.job())["status"] == "completed"


async def test_a_live_worker_keeps_its_jobs(queue: Queue) -> None:
    """The job of a worker with a recent heartbeat is not requeued."""

    async def run(work: Work[None]) -> None:
        pass

    await queue.add()
    await lose(queue, beat="1 second")
    await queue.owner.execute(
        "INSERT INTO app.scheduled_jobs (workspace_id, job_type, scheduled_for, run_at)"
        " SELECT workspace_id, job_type, scheduled_for, run_at FROM app.scheduled_jobs"
    )

    async def one_is_done() -> bool:
        return (await queue.statuses())["completed"] == 1

    async with asyncio.timeout(SOON):
        await queue.engine(run, heartbeat_seconds=0.01).run_until(one_is_done)
    assert await queue.statuses() == {"completed": 1, "running": 1}


async def test_a_late_ending_of_a_lost_job_is_ignored(queue: Queue) -> None:
    """If a lost job ran on another worker, the late result of its first run changes nothing."""
    may_end = asyncio.Event()

    async def slow(work: Work[None]) -> None:
        await may_end.wait()
        raise Unrecoverable("too late to matter")

    async def quick(work: Work[None]) -> None:
        pass

    await queue.add()
    first = queue.engine(slow, concurrency=1)
    working = asyncio.create_task(first.run())
    await until(lambda: runs(queue))
    await queue.owner.execute("UPDATE app.scheduled_jobs SET status = 'pending', locked_by = NULL")
    await queue.work_off(quick)
    first.stop()
    may_end.set()
    async with asyncio.timeout(SOON):
        await working
    job = await queue.job()
    assert (job["status"], job["attempts"], job["last_error"]) == ("completed", 2, None)


async def runs(queue: Queue) -> bool:
    """Say whether a job runs."""
    return (await queue.statuses())["running"] > 0


async def test_a_stop_finishes_running_jobs_and_claims_no_others(queue: Queue) -> None:
    """After a stop a worker finishes its running job, records it, leaves the others, and retires."""
    may_end = asyncio.Event()

    async def run(work: Work[None]) -> None:
        await may_end.wait()

    await queue.add({}, {})
    engine = queue.engine(run, concurrency=1)
    working = asyncio.create_task(engine.run())
    await until(lambda: runs(queue))
    engine.stop()
    may_end.set()
    async with asyncio.timeout(SOON):
        await working
    assert await queue.statuses() == {"completed": 1, "pending": 1}
    workers = await queue.owner.execute("SELECT count(*) FROM app.job_workers")
    assert await workers.fetchone() == (0,)


async def test_a_job_that_does_not_end_in_time_is_released(queue: Queue) -> None:
    """A job that runs longer than the stop allows is cancelled and pending again, without using an attempt."""

    async def run(work: Work[None]) -> None:
        await asyncio.Event().wait()

    await queue.add(max_attempts=1)
    # Long enough for all else to end by itself: what is cancelled while it connects leaves its connection open.
    engine = queue.engine(run, stop_within_seconds=0.5)
    working = asyncio.create_task(engine.run())
    await until(lambda: runs(queue))
    engine.stop()
    async with asyncio.timeout(SOON):
        await working
    job = await queue.job()
    assert (job["status"], job["locked_by"]) == ("pending", None)
    assert job["max_attempts"] - job["attempts"] == 1


async def test_two_workers_never_run_one_job_twice(queue: Queue) -> None:
    """Two workers share three hundred jobs; each job runs exactly once."""
    ran: Counter[UUID] = Counter()

    async def run(work: Work[None]) -> None:
        ran[work.job_id] += 1
        await asyncio.sleep(0)

    await queue.add(*({} for _ in range(300)))
    async with asyncio.timeout(SOON):
        await asyncio.gather(
            queue.engine(run, concurrency=8).run_until(queue.has_ended),
            queue.engine(run, concurrency=8).run_until(queue.has_ended),
        )
    assert await queue.statuses() == {"completed": 300}
    assert len(ran) == 300
    assert set(ran.values()) == {1}


async def test_cut_connections_are_survived(queue: Queue) -> None:
    """All connections of a worker to its queue are closed while jobs run; each job runs once and is recorded."""
    ran: Counter[UUID] = Counter()
    may_go_on = asyncio.Event()

    async def run(work: Work[None]) -> None:
        ran[work.job_id] += 1
        await may_go_on.wait()

    await queue.add(*({} for _ in range(20)))
    working = asyncio.create_task(queue.work_off(run, concurrency=10))
    await until(lambda: runs(queue))
    cut = await queue.owner.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE usename = 'salesmatter_engine' AND datname = current_database()"
    )
    assert cut.rowcount > 0
    may_go_on.set()
    await working
    assert await queue.statuses() == {"completed": 20}
    assert set(ran.values()) == {1}

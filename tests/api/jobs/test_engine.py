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


async def test_a_job_is_done_once_with_what_it_was_given(queue: Queue) -> None:
    """Each due job runs once, as its workspace, with its payload, and is recorded as completed and let go."""
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


async def test_types_without_a_lane_and_work_of_tomorrow_are_left(queue: Queue) -> None:
    """A worker takes only what is due and what it has a lane for."""
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
    """Each failure waits as long as its error asks, or as its backoff says; its reason is noted; the last is final."""
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
    """Without other advice a failed attempt waits 2 s, 4 s, 8 s …, at least half and at most an hour, never alike."""
    for attempt, longest in ((1, 2), (2, 4), (5, 32), (30, 3600)):
        waits = [backoff(attempt) for _ in range(50)]
        assert all(longest / 2 <= wait <= longest for wait in waits)
        assert len(set(waits)) > 1


async def test_an_unforeseen_error_is_a_failure_with_its_name(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a task raises is recorded by name, logged with its trace, and never ends the worker."""

    async def run(work: Work[None]) -> None:
        raise ZeroDivisionError("by zero")

    await queue.add(max_attempts=1)
    await queue.work_off(run)
    assert (await queue.job())["last_error"] == "ZeroDivisionError: by zero"
    assert "Traceback" in caplog.text


async def test_what_can_never_succeed_fails_at_once(queue: Queue) -> None:
    """An unrecoverable failure uses one attempt of many."""

    async def run(work: Work[None]) -> None:
        raise Unrecoverable("there is no such draft")

    await queue.add(max_attempts=5)
    await queue.work_off(run)
    job = await queue.job()
    assert (job["status"], job["attempts"], job["last_error"]) == ("failed", 1, "there is no such draft")


async def test_a_deferral_is_no_attempt(queue: Queue) -> None:
    """A job put off more often than it may fail runs when it was put off to; when it was asked for stays."""
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
    """Leave the job with a worker that last beat a while ago."""
    await queue.owner.execute(
        "WITH lost AS (INSERT INTO app.job_workers (host, beat_at) VALUES ('gone', now() - %s::interval) RETURNING id)"
        " UPDATE app.scheduled_jobs SET status = 'running', attempts = %s, locked_by = (SELECT id FROM lost)",
        [beat, attempts],
    )


async def test_a_lost_workers_job_is_given_back(queue: Queue) -> None:
    """What a worker without beats held is run by another one, as a further attempt."""
    attempts: list[int] = []

    async def run(work: Work[None]) -> None:
        attempts.append(work.attempt)

    await queue.add()
    await lose(queue)
    await queue.work_off(run)
    assert attempts == [2]
    assert (await queue.job())["status"] == "completed"


async def test_a_job_that_keeps_losing_workers_fails(queue: Queue) -> None:
    """With no attempt left a lost job is failed, and says why."""

    async def run(work: Work[None]) -> None:
        raise AssertionError("it must not run")

    await queue.add(max_attempts=2)
    await lose(queue, attempts=2)
    await queue.work_off(run)
    job = await queue.job()
    assert (job["status"], job["last_error"]) == ("failed", "The worker that ran this job was lost.")


async def test_a_lost_send_is_verified_whatever_its_attempts(queue: Queue) -> None:
    """A type that finds out for itself what the lost run did runs again though no attempt was left."""
    attempts: list[int] = []

    async def run(work: Work[None]) -> None:
        attempts.append(work.attempt)

    await queue.add(max_attempts=1)
    await lose(queue)
    await queue.work_off(run, on_lost="verify")
    assert attempts == [2]
    assert (await queue.job())["status"] == "completed"


async def test_a_worker_that_beats_keeps_its_jobs(queue: Queue) -> None:
    """A job whose worker has just said that it lives is left to it."""

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
        await queue.engine(run, beat_seconds=0.01).run_until(one_is_done)
    assert await queue.statuses() == {"completed": 1, "running": 1}


async def test_a_late_ending_of_a_lost_job_is_ignored(queue: Queue) -> None:
    """When a job was taken away and ran elsewhere, what its first run reports later changes nothing."""
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


async def test_a_stop_lets_finish_what_runs_and_takes_nothing_new(queue: Queue) -> None:
    """Told to stop, a worker ends its running job, records it, leaves the rest, and signs off."""
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


async def test_what_does_not_end_in_time_is_given_back(queue: Queue) -> None:
    """A job that outlasts the stop is cancelled and waits again, without having used an attempt up."""

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
    """Two workers share three hundred jobs; each job ran exactly once."""
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
    """Every connection of a worker to its queue is cut while jobs run; each job is done once and recorded."""
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

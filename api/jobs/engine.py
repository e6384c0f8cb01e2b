"""The job engine: claims due jobs in batches, runs them in one lane per type, and records how they ended.

No LISTEN and no session state: any number of workers on any number of machines share the queue, also through a pooler
in transaction mode. A worker proves by heartbeat that it lives; what a lost worker held is given back by the others.
"""

import asyncio
import contextlib
import logging
import random
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from api.clock import Clock
from api.errors import WorkspaceGone
from api.jobs import repository
from api.jobs.repository import Ending
from api.metrics.service import JobObserver, Outcome, Unobserved
from database.models import JobStatus
from database.tenancy import Scope, transaction

log = logging.getLogger(__name__)

FIRST_BACKOFF_SECONDS = 2.0
LONGEST_BACKOFF_SECONDS = 3600.0
ERROR_LENGTH = 2000
MOST_AT_ONCE = 100
FLUSH_SECONDS = 0.01
SHORTEST_IDLE_SECONDS = 0.001
FIRST = UUID(int=0)
UNOBSERVED = Unobserved()

R = TypeVar("R")


class RetryLater(Exception):
    """The job did nothing and should be tried again; counts as an attempt."""

    def __init__(self, reason: str, after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.after_seconds = after_seconds


class Deferred(Exception):
    """The job may not run before `at` (business time); does not count as an attempt."""

    def __init__(self, at: datetime, reason: str) -> None:
        super().__init__(reason)
        self.at = at


class Unrecoverable(Exception):
    """The job can never succeed; trying again would not help."""


@dataclass(frozen=True, slots=True)
class Work(Generic[R]):
    """One claimed job, as its task sees it."""

    job_id: UUID
    workspace_id: UUID
    payload: Mapping[str, Any]
    attempt: int
    scheduled_for: datetime
    clock: Clock
    pool: AsyncEngine
    resources: R

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """Open one transaction as the job's workspace; no provider or model is called inside one."""
        async with transaction(self.pool, Scope(workspace_id=self.workspace_id)) as session:
            yield session


@dataclass(frozen=True, slots=True)
class Task(Generic[R]):
    """What a job type does, how many of them a worker runs at once, and what becomes of one whose worker was lost.

    `on_lost`: `retry` runs it again while attempts are left; `verify` runs it again whatever its attempts, because the
    task itself finds out what the lost run did.
    """

    job_type: str
    run: Callable[[Work[R]], Awaitable[None]]
    concurrency: int
    on_lost: Literal["retry", "verify"] = "retry"


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How a worker behaves; seconds are real ones."""

    poll_seconds: float = 0.2
    beat_seconds: float = 5.0
    lost_after_seconds: float = 20.0
    stop_within_seconds: float = 20.0


@dataclass(slots=True)
class _Lane(Generic[R]):
    task: Task[R]
    running: set[asyncio.Task[None]] = field(default_factory=set)
    has_claimed: bool = False
    """Whether anything was claimed since it was woken; what others hold is not asked for again at once."""
    in_turn_after: UUID | None = None
    """Behind which workspace the next turn begins; None while everything that is due is seen at once."""
    freed: asyncio.Event = field(default_factory=asyncio.Event)
    due: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self, done: asyncio.Task[None]) -> None:
        """Give a finished job's place to the next."""
        self.running.discard(done)
        self.freed.set()


class Engine(Generic[R]):
    """One worker: `run` works until `stop` is called, then finishes or gives back what it holds."""

    def __init__(
        self,
        *,
        queue: AsyncEngine,
        pool: AsyncEngine,
        clock: Clock,
        tasks: Sequence[Task[R]],
        resources: R,
        settings: EngineSettings = EngineSettings(),
        observer: JobObserver = UNOBSERVED,
    ) -> None:
        self._queue, self._pool, self._clock = queue, pool, clock
        self._resources, self._settings, self._observer = resources, settings, observer
        self._lanes = [_Lane(task) for task in tasks]
        self._endings: list[Ending] = []
        self._ended = asyncio.Event()
        self._stopping = asyncio.Event()
        self._look = asyncio.Event()
        self._last_beat = 0.0
        self._worker: UUID | None = None

    def stop(self) -> None:
        """Ask the worker to take nothing new and to end."""
        self._stopping.set()
        self._look.set()
        for lane in self._lanes:
            lane.freed.set()
            lane.due.set()

    async def run(self) -> None:
        """Work until `stop`; then wait for what runs, give back what does not end in time, and sign off."""
        async with self._queue_transaction() as session:
            self._worker = await repository.register_worker(session, socket.gethostname())
        self._last_beat = time.monotonic()
        keepers = [asyncio.create_task(self._keep_beating()), asyncio.create_task(self._keep_recording())]
        await asyncio.gather(self._look_out(), *(self._work(lane) for lane in self._lanes))
        await self._drain()
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        await self._record()
        async with self._queue_transaction() as session:
            await repository.retire_worker(session, self._worker)

    async def run_until(self, is_done: Callable[[], Awaitable[bool]]) -> None:
        """Work until `is_done` says so, asked at every poll; for demos and tests that wait for an empty queue."""
        working = asyncio.create_task(self.run())
        while not working.done() and not await is_done():
            await asyncio.wait({working}, timeout=self._settings.poll_seconds)
        self.stop()
        await working

    async def _drain(self) -> None:
        running = [task for lane in self._lanes for task in lane.running]
        if not running:
            return
        _, unfinished = await asyncio.wait(running, timeout=self._settings.stop_within_seconds)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)

    async def _look_out(self) -> None:
        """Wake the lanes that have due jobs, with one look at the queue for all; sleep until the next is due."""
        while not self._stopping.is_set():
            idle = self._settings.poll_seconds
            self._look.clear()
            if self._may_start():
                try:
                    idle = await self._wake_due()
                except (SQLAlchemyError, OSError) as error:
                    log.warning("The queue cannot be read, trying again: %s", error)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._look.wait(), idle)

    async def _wake_due(self) -> float:
        """Wake each lane whose next job is due; returns how long nothing more is due, at most a poll's time."""
        async with self._queue_transaction() as session:
            dues = await repository.next_due(session, [lane.task.job_type for lane in self._lanes])
        idle = self._settings.poll_seconds
        for lane in self._lanes:
            due = dues.get(lane.task.job_type)
            if due is None:
                continue
            wait = self._clock.real_seconds_until(due)
            if wait <= 0:
                lane.due.set()
            else:
                idle = min(idle, max(wait, SHORTEST_IDLE_SECONDS))
        return idle

    async def _work(self, lane: _Lane[R]) -> None:
        """Keep one lane filled while it has due jobs, until the worker stops."""
        while not self._stopping.is_set():
            await lane.due.wait()
            lane.due.clear()
            more = True
            while more and not self._stopping.is_set():
                free = min(lane.task.concurrency - len(lane.running), MOST_AT_ONCE)
                if free == 0:
                    lane.freed.clear()
                    await lane.freed.wait()
                else:
                    more = self._may_start() and await self._fill(lane, free)
            if lane.has_claimed:
                lane.has_claimed = False
                # What comes next may be due before the next poll.
                self._look.set()

    async def _fill(self, lane: _Lane[R], free: int) -> bool:
        """Claim and start up to `free` jobs; returns whether more may be due. A database that is away has none."""
        assert self._worker is not None
        try:
            async with self._queue_transaction() as session:
                claim = await repository.claim(
                    session,
                    job_type=lane.task.job_type,
                    worker=self._worker,
                    now=self._clock.now(),
                    most=free,
                    in_turn_after=lane.in_turn_after,
                )
        except (SQLAlchemyError, OSError) as error:
            log.warning("The queue cannot be claimed from, trying again: %s", error)
            return False
        # Behind the last workspace the first has its turn again.
        lane.in_turn_after = (claim.last_visited or FIRST) if claim.is_crowded else None
        lane.has_claimed = lane.has_claimed or bool(claim.jobs) or claim.moved > 0
        for row in claim.jobs:
            self._observer.claimed(lane.task.job_type, -self._clock.real_seconds_until(row.run_at))
            work = Work(
                row.id,
                row.workspace_id,
                row.payload,
                row.attempts,
                row.scheduled_for,
                self._clock,
                self._pool,
                self._resources,
            )
            task = asyncio.create_task(self._run_one(lane.task, work, row.max_attempts))
            lane.running.add(task)
            task.add_done_callback(lane.release)
        return claim.is_crowded or len(claim.jobs) + claim.moved >= free

    def _may_start(self) -> bool:
        """Say whether the others still take this worker for alive; with half the time gone it starts nothing."""
        return time.monotonic() - self._last_beat < self._settings.lost_after_seconds / 2

    async def _run_one(self, task: Task[R], work: Work[R], max_attempts: int) -> None:
        started = time.monotonic()
        try:
            await task.run(work)
            ending, outcome = Ending(work.job_id, work.attempt, JobStatus.COMPLETED), Outcome.COMPLETED
        except Deferred as put_off:
            ending = Ending(
                work.job_id, work.attempt, JobStatus.PENDING, put_off.at, str(put_off)[:ERROR_LENGTH], granted=1
            )
            outcome = Outcome.DEFERRED
        except WorkspaceGone:
            ending = Ending(work.job_id, work.attempt, JobStatus.CANCELLED, error="The workspace was deleted.")
            outcome = Outcome.CANCELLED
        except Unrecoverable as error:
            ending = Ending(work.job_id, work.attempt, JobStatus.FAILED, error=str(error)[:ERROR_LENGTH])
            outcome = Outcome.FAILED
        except asyncio.CancelledError:
            ending = Ending(
                work.job_id, work.attempt, JobStatus.PENDING, error="The worker stopped before this ended.", granted=1
            )
            outcome = Outcome.RELEASED
        except Exception as error:  # noqa: BLE001 - a failing job must never end the worker
            ending = self._failure(work, error, max_attempts)
            outcome = Outcome.FAILED if ending.status is JobStatus.FAILED else Outcome.RETRIED
        self._observer.ended(task.job_type, outcome, time.monotonic() - started)
        self._endings.append(ending)
        self._ended.set()

    def _failure(self, work: Work[R], error: Exception, max_attempts: int) -> Ending:
        text = f"{type(error).__name__}: {error}"[:ERROR_LENGTH]
        if not isinstance(error, RetryLater):
            log.warning("Job %s failed at attempt %s: %s", work.job_id, work.attempt, text, exc_info=error)
        if work.attempt >= max_attempts:
            return Ending(work.job_id, work.attempt, JobStatus.FAILED, error=text)
        wait = error.after_seconds if isinstance(error, RetryLater) else None
        return Ending(
            work.job_id, work.attempt, JobStatus.PENDING, self._clock.after(wait or backoff(work.attempt)), text
        )

    async def _keep_recording(self) -> None:
        """Record endings together, a few milliseconds after the first of them."""
        while True:
            await self._ended.wait()
            await asyncio.sleep(FLUSH_SECONDS)
            self._ended.clear()
            try:
                await self._record()
            except (SQLAlchemyError, OSError) as error:
                log.warning("Endings cannot be recorded, trying again: %s", error)
                self._ended.set()
                await asyncio.sleep(self._settings.poll_seconds)

    async def _record(self) -> None:
        endings, self._endings = self._endings, []
        if not endings:
            return
        assert self._worker is not None
        try:
            async with self._queue_transaction() as session:
                await repository.finish(session, self._worker, self._clock.now(), endings)
        except BaseException:
            self._endings = endings + self._endings
            raise

    async def _keep_beating(self) -> None:
        assert self._worker is not None
        verified = [lane.task.job_type for lane in self._lanes if lane.task.on_lost == "verify"]
        while True:
            try:
                started = time.monotonic()
                async with self._queue_transaction() as session:
                    await repository.beat(session, self._worker)
                self._last_beat = started
                async with self._queue_transaction() as session:
                    await repository.reap(
                        session,
                        lost_after=self._settings.lost_after_seconds,
                        now=self._clock.now(),
                        verified=verified,
                    )
            except (SQLAlchemyError, OSError) as error:
                log.warning("The heartbeat failed, trying again: %s", error)
            await asyncio.sleep(self._settings.beat_seconds)

    @asynccontextmanager
    async def _queue_transaction(self) -> AsyncIterator[AsyncSession]:
        async with AsyncSession(self._queue) as session, session.begin():
            yield session


def backoff(attempt: int) -> float:
    """Return how many real seconds to wait after a failed attempt: doubling, capped, with jitter of a half."""
    longest = min(FIRST_BACKOFF_SECONDS * 2.0 ** (attempt - 1), LONGEST_BACKOFF_SECONDS)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret

"""The job engine: claims due jobs in batches, runs them in one lane per type, and records how they ended.

It needs neither LISTEN nor session state: any number of workers on any number of machines share the queue, also through
a pooler in transaction mode. Each worker sends heartbeats. The others requeue the jobs of a worker that is lost.
"""

import asyncio
import contextlib
import logging
import random
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Generic
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from api.http.errors import WorkspaceGone
from api.jobs import repository
from api.jobs.housekeeping import FIRST_ID, Housekeeping
from api.jobs.observer import JobObserver, NullObserver
from api.jobs.repository import Claim, ClaimedJob, ClaimRequest, Ending
from api.jobs.work import Deferred, EngineSettings, R, RetryLater, Task, Unrecoverable, Work
from database import jobs
from database.models import JobStatus
from domain.clock import Clock
from domain.job import RunOutcome

__all__ = ["Deferred", "Engine", "EngineSettings", "RetryLater", "Task", "Unrecoverable", "Work", "backoff"]

log = logging.getLogger(__name__)

FIRST_BACKOFF_SECONDS = 2.0
LONGEST_BACKOFF_SECONDS = 3600.0
ERROR_LENGTH = 2000
MAX_CLAIMED = 100
FLUSH_SECONDS = 0.01
SHORTEST_IDLE_SECONDS = 0.001
RELEASE_SHARE = 0.25
"""The share of the stop time that is reserved for releasing unfinished jobs and for retiring the worker."""
ROTATION_SHARE, MAX_WITHOUT_ROTATION_SECONDS = 0.2, 0.05
"""While only one workspace has due jobs: the share of time for claims by rotation, and the longest time without."""
NO_OBSERVER, DEFAULT_SETTINGS = NullObserver(), EngineSettings()


@dataclass(slots=True)
class _Lane(Generic[R]):
    task: Task[R]
    running: dict[asyncio.Task[None], UUID] = field(default_factory=dict)
    has_claimed: bool = False
    """Whether anything was claimed since the lane was woken. Otherwise it waits for the next poll."""
    rotate_after: UUID | None = None
    """The workspace after which the rotation continues; None while one claim sees all due jobs."""
    round_started: float = 0.0
    """When (monotonic) the current round of the rotation started."""
    is_single_workspace: bool = False
    """Whether the round has seen at most one workspace with due jobs."""
    no_rotation_before: float = 0.0
    """Until when (monotonic) claims do without rotation, because no second workspace had due jobs."""
    has_rates: bool = False
    unconfirmed_until: float | None = None
    """Until when (monotonic) a claim whose response was lost may still commit."""
    freed: asyncio.Event = field(default_factory=asyncio.Event)
    has_due_jobs: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self, done: asyncio.Task[None]) -> None:
        """Remove a finished job, so that the next one can start."""
        del self.running[done]
        self.freed.set()


class Engine(Generic[R]):
    """One worker: `run` works until `stop` is called, then finishes or releases its jobs."""

    def __init__(
        self,
        *,
        queue: AsyncEngine,
        pool: AsyncEngine,
        clock: Clock,
        tasks: Sequence[Task[R]],
        resources: R,
        settings: EngineSettings = DEFAULT_SETTINGS,
        observer: JobObserver = NO_OBSERVER,
    ) -> None:
        # The engine needs no transaction of more than one statement.
        self._queue = queue.execution_options(isolation_level="AUTOCOMMIT")
        self._pool, self._clock = pool, clock
        self._resources, self._settings, self._observer = resources, settings, observer
        self._lanes = [_Lane(task) for task in tasks]
        self._endings: list[Ending] = []
        self._ended = asyncio.Event()
        self._stopping = asyncio.Event()
        self._stop_by = 0.0
        self._poll_now = asyncio.Event()
        self._last_beat = 0.0
        self._worker = FIRST_ID
        self._housekeeping = Housekeeping(self._queue, clock, tasks, settings, observer)

    def stop(self) -> None:
        """Make the worker claim nothing more and end within `stop_within_seconds` from now."""
        if not self._stopping.is_set():
            self._stop_by = time.monotonic() + self._settings.stop_within_seconds
        self._stopping.set()
        self._poll_now.set()
        for lane in self._lanes:
            lane.freed.set()
            lane.has_due_jobs.set()

    async def run(self) -> None:
        """Work until `stop`; then wait for running jobs, release those that do not end in time, and retire."""
        async with self._statements() as session:
            self._worker = await jobs.register_worker(session, socket.gethostname())
        self._last_beat = time.monotonic()
        coroutines = (self._send_heartbeats(), self._record_endings(), self._housekeeping.run())
        background = [asyncio.create_task(coroutine) for coroutine in coroutines]
        loops = [asyncio.create_task(loop) for loop in (self._wake_lanes(), *map(self._work, self._lanes))]
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([*loops, *background, stopping], return_when=asyncio.FIRST_COMPLETED)
        self.stop()
        await self._drain(loops)
        await _cancel_after(background, self._seconds_left() / 2)
        # Not awaited itself: a database that does not respond would block it forever.
        await _cancel_after([asyncio.create_task(self._retire())], 0.0, after=self._seconds_left())
        for task in (*loops, *background):
            if task.done() and not task.cancelled():
                task.result()

    async def run_until(self, is_done: Callable[[], Awaitable[bool]]) -> None:
        """Work until `is_done` returns true, called at every poll; for demos and tests that wait for an empty queue."""
        working = asyncio.create_task(self.run())
        while not working.done() and not await is_done():
            await asyncio.wait({working}, timeout=self._settings.poll_seconds)
        self.stop()
        await working

    def _seconds_left(self) -> float:
        return max(0.0, self._stop_by - time.monotonic())

    async def _drain(self, loops: Sequence[asyncio.Task[None]]) -> None:
        """Wait for running jobs and unfinished claims, and cancel those that do not end in time."""
        reserved = RELEASE_SHARE * self._settings.stop_within_seconds
        await _cancel_after(loops, 0.0, after=self._seconds_left() - reserved)
        running = [task for lane in self._lanes for task in lane.running]
        await _cancel_after(running, self._seconds_left() / 2, after=self._seconds_left() - reserved)

    async def _retire(self) -> None:
        """Record all endings, release the other jobs and delete the worker; retries while the database is down."""
        while True:
            try:
                await self._flush_endings()
                async with self._statements() as session:
                    await jobs.retire_worker(session, self._worker, self._clock.now())
            except (SQLAlchemyError, OSError) as error:
                log.warning("The worker cannot be retired, trying again: %s", error)
                await asyncio.sleep(self._settings.poll_seconds)
            else:
                return

    async def _wake_lanes(self) -> None:
        """Poll the queue once for all lanes, wake those with due jobs, and sleep until the next job is due."""
        while not self._stopping.is_set():
            idle = self._settings.poll_seconds
            self._poll_now.clear()
            if self._may_start():
                try:
                    idle = await self._wake_due_lanes()
                except (SQLAlchemyError, OSError) as error:
                    log.warning("The queue cannot be read, trying again: %s", error)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._poll_now.wait(), idle)

    async def _wake_due_lanes(self) -> float:
        """Wake each lane whose next job is due; returns the seconds until the next due job, at most `poll_seconds`."""
        await self._housekeeping.enqueue_due_slots()
        async with self._statements() as session:
            dues = await repository.next_due(session, [lane.task.job_type for lane in self._lanes])
        idle = self._settings.poll_seconds
        for lane in self._lanes:
            due = dues.get(lane.task.job_type)
            if lane.unconfirmed_until is not None:
                lane.has_due_jobs.set()
            if due is None:
                continue
            wait = self._clock.real_seconds_until(due)
            if wait <= 0:
                lane.has_due_jobs.set()
            else:
                idle = min(idle, max(wait, SHORTEST_IDLE_SECONDS))
        return idle

    async def _work(self, lane: _Lane[R]) -> None:
        """Claim and start jobs of one lane while it has free capacity and due jobs, until the worker stops."""
        while not self._stopping.is_set():
            await lane.has_due_jobs.wait()
            lane.has_due_jobs.clear()
            more = True
            while more and not self._stopping.is_set():
                free = min(lane.task.concurrency - len(lane.running), MAX_CLAIMED)
                if free == 0:
                    lane.freed.clear()
                    await lane.freed.wait()
                else:
                    more = self._may_start() and await self._claim_and_start(lane, free)
            if lane.has_claimed:
                lane.has_claimed = False
                # The next job may be due before the next poll.
                self._poll_now.set()

    async def _claim_and_start(self, lane: _Lane[R], free: int) -> bool:
        """Claim and start up to `free` jobs; returns whether more may be due, False while the database is down."""
        now = self._clock.now()
        try:
            async with self._statements() as session:
                await self._release_unconfirmed_claims(session, lane)
                claim = await self._claim(session, lane, free, now)
        except (SQLAlchemyError, OSError) as error:
            log.warning("The queue cannot be claimed from, trying again: %s", error)
            lane.unconfirmed_until = time.monotonic() + self._settings.lost_after_seconds
            return False
        lane.has_claimed = lane.has_claimed or bool(claim.jobs) or claim.moved > 0
        # Jobs start in the order of the queue. UPDATE … RETURNING has no order.
        for job in sorted(claim.jobs, key=attrgetter("run_at", "id")):
            self._observer.claimed(lane.task.job_type, (now - job.run_at).total_seconds() / self._clock.speed)
            task = asyncio.create_task(self._run_job(lane.task, job))
            lane.running[task] = job.id
            task.add_done_callback(lane.release)
        return claim.has_more or len(claim.jobs) + claim.moved >= free

    async def _release_unconfirmed_claims(self, session: AsyncSession, lane: _Lane[R]) -> None:
        """Release jobs of claims whose response was lost. No other worker does it while this one sends heartbeats."""
        if lane.unconfirmed_until is None:
            return
        known_ids = [*lane.running.values(), *(ending.job_id for ending in self._endings)]
        await jobs.release_unknown_claims(
            session, job_type=lane.task.job_type, worker=self._worker, known=known_ids, now=self._clock.now()
        )
        if time.monotonic() > lane.unconfirmed_until:
            lane.unconfirmed_until = None

    async def _claim(self, session: AsyncSession, lane: _Lane[R], most: int, now: datetime) -> Claim:
        """Claim by rotation when more jobs are due than one claim sees and another workspace may wait for its share."""
        started = time.monotonic()
        request = ClaimRequest(lane.task.job_type, self._worker, now, most)
        is_rotation = lane.rotate_after is not None and started >= lane.no_rotation_before
        if not is_rotation and not lane.has_rates:
            claim = await repository.claim_without_rates(session, request)
            if claim.jobs:
                lane.rotate_after = (lane.rotate_after or FIRST_ID) if claim.has_more else None
                return claim
        claim = await repository.claim_jobs(session, request, lane.rotate_after if is_rotation else None)
        lane.has_rates = claim.has_rates
        if is_rotation:
            self._skip_rotation_for_single_workspace(lane, claim, started)
        # After the last workspace the rotation starts again at the first.
        lane.rotate_after = (claim.last_visited or FIRST_ID) if claim.has_more else None
        return claim

    def _skip_rotation_for_single_workspace(self, lane: _Lane[R], claim: Claim, started: float) -> None:
        """Do without rotation for a moment when a whole round has seen only one workspace with due jobs."""
        if lane.rotate_after == FIRST_ID:
            lane.round_started, lane.is_single_workspace = started, True
        lane.is_single_workspace = lane.is_single_workspace and claim.is_single_workspace
        if claim.last_visited is None and lane.is_single_workspace:
            now = time.monotonic()
            lane.no_rotation_before = now + min(
                (now - lane.round_started) / ROTATION_SHARE, MAX_WITHOUT_ROTATION_SECONDS
            )

    def _may_start(self) -> bool:
        """Return whether other workers still see this one as alive. It stops claiming after half of that time."""
        return time.monotonic() - self._last_beat < self._settings.lost_after_seconds / 2

    async def _run_job(self, task: Task[R], job: ClaimedJob) -> None:
        work = Work(
            job.id,
            job.workspace_id,
            job.payload,
            job.attempts,
            job.scheduled_for,
            self._clock,
            self._pool,
            self._resources,
        )
        started = time.monotonic()
        try:
            await task.run(work)
            ending, outcome = Ending(work.job_id, work.attempt, JobStatus.COMPLETED), RunOutcome.COMPLETED
        except Deferred as deferral:
            ending = Ending(
                work.job_id, work.attempt, JobStatus.PENDING, deferral.at, str(deferral)[:ERROR_LENGTH], granted=1
            )
            outcome = RunOutcome.DEFERRED
        except WorkspaceGone:
            ending = Ending(work.job_id, work.attempt, JobStatus.CANCELLED, error="The workspace was deleted.")
            outcome = RunOutcome.CANCELLED
        except Unrecoverable as error:
            ending = Ending(work.job_id, work.attempt, JobStatus.FAILED, error=str(error)[:ERROR_LENGTH])
            outcome = RunOutcome.FAILED
        except asyncio.CancelledError:
            ending = Ending(
                work.job_id,
                work.attempt,
                JobStatus.PENDING,
                error="The worker stopped before the job ended.",
                granted=1,
            )
            outcome = RunOutcome.RELEASED
        except Exception as error:  # noqa: BLE001 - a failing job must never end the worker
            ending = self._failure(work, error, job.max_attempts)
            outcome = RunOutcome.FAILED if ending.status is JobStatus.FAILED else RunOutcome.RETRIED
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

    async def _record_endings(self) -> None:
        """Record endings in batches, a few milliseconds after the first of a batch."""
        while True:
            await self._ended.wait()
            await asyncio.sleep(FLUSH_SECONDS)
            self._ended.clear()
            try:
                await self._flush_endings()
            except (SQLAlchemyError, OSError) as error:
                log.warning("Endings cannot be recorded, trying again: %s", error)
                self._ended.set()
                await asyncio.sleep(self._settings.poll_seconds)

    async def _flush_endings(self) -> None:
        """Record the collected endings. They are dropped only after success: recording one twice changes nothing."""
        endings = list(self._endings)
        if endings:
            async with self._statements() as session:
                await repository.finish_jobs(session, self._worker, self._clock.now(), endings)
            del self._endings[: len(endings)]

    async def _send_heartbeats(self) -> None:
        while True:
            try:
                started = time.monotonic()
                async with self._statements() as session:
                    await jobs.record_heartbeat(session, self._worker)
                self._last_beat = started
            except (SQLAlchemyError, OSError) as error:
                log.warning("The heartbeat failed, trying again: %s", error)
            await asyncio.sleep(self._settings.heartbeat_seconds)

    @asynccontextmanager
    async def _statements(self) -> AsyncIterator[AsyncSession]:
        """Open a session in autocommit mode."""
        async with AsyncSession(self._queue) as session:
            yield session


async def _cancel_after(tasks: Sequence[asyncio.Task[None]], grace: float, *, after: float = 0.0) -> None:
    """Wait `after` seconds for tasks to end, cancel the others, and wait `grace` seconds for those."""
    unfinished: Collection[asyncio.Task[None]] = tasks
    if tasks and after > 0:
        _, unfinished = await asyncio.wait(tasks, timeout=after)
    for task in unfinished:
        task.cancel()
    if unfinished and grace > 0:
        await asyncio.wait(unfinished, timeout=grace)


def backoff(attempt: int) -> float:
    """Return the real seconds to wait after a failed attempt: exponential, capped, with up to half as jitter."""
    longest = min(FIRST_BACKOFF_SECONDS * 2.0 ** (attempt - 1), LONGEST_BACKOFF_SECONDS)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret

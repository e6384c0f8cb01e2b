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
from api.jobs.housekeeping import FIRST, Housekeeping
from api.jobs.repository import Claim, Claimed, ClaimRequest, Ending
from api.jobs.work import Deferred, EngineSettings, R, RetryLater, Task, Unrecoverable, Work
from api.telemetry.service import JobObserver, Outcome, Unobserved
from database import jobs
from database.models import JobStatus
from domain.clock import Clock

__all__ = ["Deferred", "Engine", "EngineSettings", "RetryLater", "Task", "Unrecoverable", "Work", "backoff"]

log = logging.getLogger(__name__)

FIRST_BACKOFF_SECONDS = 2.0
LONGEST_BACKOFF_SECONDS = 3600.0
ERROR_LENGTH = 2000
MOST_AT_ONCE = 100
FLUSH_SECONDS = 0.01
SHORTEST_IDLE_SECONDS = 0.001
LEAVING_SHARE = 0.25
"""Of the time a worker has to stop: what is kept for giving back what does not end, and for signing off."""
TURN_SHARE, LONGEST_WITHOUT_TURNS_SECONDS = 0.2, 0.05
"""How much of the time is spent on asking for others, and how often at least, while one workspace alone has jobs."""
UNOBSERVED, USUAL = Unobserved(), EngineSettings()


@dataclass(slots=True)
class _Lane(Generic[R]):
    task: Task[R]
    running: dict[asyncio.Task[None], UUID] = field(default_factory=dict)
    has_claimed: bool = False
    """Whether anything was claimed since it was woken; what others hold is not asked for again at once."""
    in_turn_after: UUID | None = None
    """Behind which workspace the next turn begins; None while everything that is due is seen at once."""
    round_began: float = 0.0
    """When (monotonic) the first workspace had its turn the last time."""
    is_one_alone: bool = False
    """Whether since then no two workspaces were seen that have due jobs."""
    no_turn_before: float = 0.0
    """Until when (monotonic) turns are left out, because nobody waited for one."""
    has_rates: bool = False
    doubtful_until: float | None = None
    """Until when (monotonic) a claim whose answer was lost may turn out to have been made."""
    freed: asyncio.Event = field(default_factory=asyncio.Event)
    due: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self, done: asyncio.Task[None]) -> None:
        """Give a finished job's place to the next."""
        del self.running[done]
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
        settings: EngineSettings = USUAL,
        observer: JobObserver = UNOBSERVED,
    ) -> None:
        # Each of the engine's statements stands for itself.
        self._queue = queue.execution_options(isolation_level="AUTOCOMMIT")
        self._pool, self._clock = pool, clock
        self._resources, self._settings, self._observer = resources, settings, observer
        self._lanes = [_Lane(task) for task in tasks]
        self._endings: list[Ending] = []
        self._ended = asyncio.Event()
        self._stopping = asyncio.Event()
        self._stop_by = 0.0
        self._look = asyncio.Event()
        self._last_beat = 0.0
        self._worker = FIRST
        self._house = Housekeeping(self._queue, clock, tasks, settings, observer)

    def stop(self) -> None:
        """Ask the worker to take nothing new and to end within `stop_within_seconds` from now."""
        if not self._stopping.is_set():
            self._stop_by = time.monotonic() + self._settings.stop_within_seconds
        self._stopping.set()
        self._look.set()
        for lane in self._lanes:
            lane.freed.set()
            lane.due.set()

    async def run(self) -> None:
        """Work until `stop`; then wait for what runs, give back what does not end in time, and sign off."""
        async with self._statements() as session:
            self._worker = await jobs.register_worker(session, socket.gethostname())
        self._last_beat = time.monotonic()
        keepers = (self._keep_beating(), self._keep_recording(), self._house.keep())
        keeping = [asyncio.create_task(keeper) for keeper in keepers]
        loops = [asyncio.create_task(loop) for loop in (self._look_out(), *map(self._work, self._lanes))]
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([*loops, *keeping, stopping], return_when=asyncio.FIRST_COMPLETED)
        self.stop()
        await self._drain(loops)
        await _cancelled(keeping, self._left() / 2)
        # Not awaited itself: a database that has fallen silent would hold it for ever.
        await _cancelled([asyncio.create_task(self._sign_off())], 0.0, after=self._left())
        for one in (*loops, *keeping):
            if one.done() and not one.cancelled():
                one.result()

    async def run_until(self, is_done: Callable[[], Awaitable[bool]]) -> None:
        """Work until `is_done` says so, asked at every poll; for demos and tests that wait for an empty queue."""
        working = asyncio.create_task(self.run())
        while not working.done() and not await is_done():
            await asyncio.wait({working}, timeout=self._settings.poll_seconds)
        self.stop()
        await working

    def _left(self) -> float:
        return max(0.0, self._stop_by - time.monotonic())

    async def _drain(self, loops: Sequence[asyncio.Task[None]]) -> None:
        """Let end what has begun, a claim that is under way included; cancel what does not end in time."""
        leaving = LEAVING_SHARE * self._settings.stop_within_seconds
        await _cancelled(loops, 0.0, after=self._left() - leaving)
        running = [task for lane in self._lanes for task in lane.running]
        await _cancelled(running, self._left() / 2, after=self._left() - leaving)

    async def _sign_off(self) -> None:
        """Record all endings, give back the rest and leave; a database that is away is asked again."""
        while True:
            try:
                await self._record()
                async with self._statements() as session:
                    await jobs.retire_worker(session, self._worker, self._clock.now())
            except (SQLAlchemyError, OSError) as error:
                log.warning("The worker cannot sign off, trying again: %s", error)
                await asyncio.sleep(self._settings.poll_seconds)
            else:
                return

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
        await self._house.ask_for_slots()
        async with self._statements() as session:
            dues = await repository.next_due(session, [lane.task.job_type for lane in self._lanes])
        idle = self._settings.poll_seconds
        for lane in self._lanes:
            due = dues.get(lane.task.job_type)
            if lane.doubtful_until is not None:
                lane.due.set()
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
        now = self._clock.now()
        try:
            async with self._statements() as session:
                await self._settle_doubt(session, lane)
                claim = await self._claim(session, lane, free, now)
        except (SQLAlchemyError, OSError) as error:
            log.warning("The queue cannot be claimed from, trying again: %s", error)
            lane.doubtful_until = time.monotonic() + self._settings.lost_after_seconds
            return False
        lane.has_claimed = lane.has_claimed or bool(claim.jobs) or claim.moved > 0
        # They begin in the order in which they wait, which an UPDATE does not answer in.
        for job in sorted(claim.jobs, key=attrgetter("run_at", "id")):
            self._observer.claimed(lane.task.job_type, (now - job.run_at).total_seconds() / self._clock.speed)
            task = asyncio.create_task(self._run_one(lane.task, job))
            lane.running[task] = job.id
            task.add_done_callback(lane.release)
        return claim.is_crowded or len(claim.jobs) + claim.moved >= free

    async def _settle_doubt(self, session: AsyncSession, lane: _Lane[R]) -> None:
        """Give back what a claim took whose answer never came: no other worker would, as long as this one beats."""
        if lane.doubtful_until is None:
            return
        known = [*lane.running.values(), *(ending.job_id for ending in self._endings)]
        await jobs.release_unknown_claims(
            session, job_type=lane.task.job_type, worker=self._worker, known=known, now=self._clock.now()
        )
        if time.monotonic() > lane.doubtful_until:
            lane.doubtful_until = None

    async def _claim(self, session: AsyncSession, lane: _Lane[R], most: int, now: datetime) -> Claim:
        """Claim in turn when more are due than are seen at once, and somebody may be waiting for a turn."""
        started = time.monotonic()
        wanted = ClaimRequest(lane.task.job_type, self._worker, now, most)
        is_turn = lane.in_turn_after is not None and started >= lane.no_turn_before
        if not is_turn and not lane.has_rates:
            claim = await repository.claim_freely(session, wanted)
            if claim.jobs:
                lane.in_turn_after = (lane.in_turn_after or FIRST) if claim.is_crowded else None
                return claim
        claim = await repository.claim_jobs(session, wanted, lane.in_turn_after if is_turn else None)
        lane.has_rates = claim.has_rates
        if is_turn:
            self._note_turn(lane, claim, started)
        # Behind the last workspace the first has its turn again.
        lane.in_turn_after = (claim.last_visited or FIRST) if claim.is_crowded else None
        return claim

    def _note_turn(self, lane: _Lane[R], claim: Claim, started: float) -> None:
        """Leave turns out for a moment when in a whole round of them nobody was seen who waits for one."""
        if lane.in_turn_after == FIRST:
            lane.round_began, lane.is_one_alone = started, True
        lane.is_one_alone = lane.is_one_alone and claim.is_one_alone
        if claim.last_visited is None and lane.is_one_alone:
            now = time.monotonic()
            lane.no_turn_before = now + min((now - lane.round_began) / TURN_SHARE, LONGEST_WITHOUT_TURNS_SECONDS)

    def _may_start(self) -> bool:
        """Say whether the others still take this worker for alive; with half the time gone it starts nothing."""
        return time.monotonic() - self._last_beat < self._settings.lost_after_seconds / 2

    async def _run_one(self, task: Task[R], job: Claimed) -> None:
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
                work.job_id,
                work.attempt,
                JobStatus.PENDING,
                error="The worker stopped before the job ended.",
                granted=1,
            )
            outcome = Outcome.RELEASED
        except Exception as error:  # noqa: BLE001 - a failing job must never end the worker
            ending = self._failure(work, error, job.max_attempts)
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
        """Record what has ended; it is kept in mind until that is certain, since to record it twice does no harm."""
        endings = list(self._endings)
        if endings:
            async with self._statements() as session:
                await repository.finish_jobs(session, self._worker, self._clock.now(), endings)
            del self._endings[: len(endings)]

    async def _keep_beating(self) -> None:
        while True:
            try:
                started = time.monotonic()
                async with self._statements() as session:
                    await jobs.record_heartbeat(session, self._worker)
                self._last_beat = started
            except (SQLAlchemyError, OSError) as error:
                log.warning("The heartbeat failed, trying again: %s", error)
            await asyncio.sleep(self._settings.beat_seconds)

    @asynccontextmanager
    async def _statements(self) -> AsyncIterator[AsyncSession]:
        """Open a session whose statements commit by themselves."""
        async with AsyncSession(self._queue) as session:
            yield session


async def _cancelled(tasks: Sequence[asyncio.Task[None]], grace: float, *, after: float = 0.0) -> None:
    """Give tasks `after` seconds to end, cancel those that do not, and give these `grace` seconds to be gone."""
    unfinished: Collection[asyncio.Task[None]] = tasks
    if tasks and after > 0:
        _, unfinished = await asyncio.wait(tasks, timeout=after)
    for task in unfinished:
        task.cancel()
    if unfinished and grace > 0:
        await asyncio.wait(unfinished, timeout=grace)


def backoff(attempt: int) -> float:
    """Return how many real seconds to wait after a failed attempt: doubling, capped, with jitter of a half."""
    longest = min(FIRST_BACKOFF_SECONDS * 2.0 ** (attempt - 1), LONGEST_BACKOFF_SECONDS)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret

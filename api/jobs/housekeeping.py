"""What any worker does for all: gives back the jobs of lost ones, asks for work by the clock, clears the queue."""

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from api.jobs.work import EngineSettings, Task
from api.telemetry.service import JobObserver, Outcome
from database import jobs
from database.models import JobStatus
from domain.clock import EPOCH, Clock

log = logging.getLogger(__name__)

ARCHIVED_AT_ONCE, MOST_ARCHIVED = 1000, 20
"""How many jobs are looked at together, and how many times in one beat, for those that have long ended."""
WALK_AGAIN_SECONDS = 86_400.0
"""How often the whole queue is looked through for them: what had not ended the last time may have by now."""
LONGEST_AGE_SECONDS = 20 * 365 * 86_400.0
"""No queue is older, also where business time hardly moves."""
FIRST = UUID(int=0)


class Housekeeping:
    """One worker's part of it; all workers may do it at the same time."""

    def __init__(
        self,
        queue: AsyncEngine,
        clock: Clock,
        tasks: Sequence[Task[Any]],
        settings: EngineSettings,
        observer: JobObserver,
    ) -> None:
        self._queue, self._clock, self._settings, self._observer = queue, clock, settings, observer
        self._verified = [task.job_type for task in tasks if task.on_lost == "verify"]
        self._every = {task.job_type: task.every for task in tasks if task.every is not None}
        self._slots: dict[str, datetime] = {}
        self._walked_to, self._walk_again_at = FIRST, time.monotonic() + WALK_AGAIN_SECONDS

    async def keep(self) -> None:
        """Do it at every beat, until cancelled."""
        while True:
            try:
                await self._reap()
                await self._archive()
            except (SQLAlchemyError, OSError) as error:
                log.warning("The queue cannot be looked after, trying again: %s", error)
            await asyncio.sleep(self._settings.beat_seconds)

    async def ask_for_slots(self) -> None:
        """Put on the queue what the present slots ask for; nothing is asked of the database within a slot."""
        for job_type, every in self._every.items():
            slot = self._present(every)
            if self._slots.get(job_type) != slot:
                async with AsyncSession(self._queue) as session:
                    await jobs.enqueue_slot(session, job_type, slot)
                self._slots[job_type] = slot

    def _present(self, every: timedelta) -> datetime:
        return EPOCH + (self._clock.now() - EPOCH) // every * every

    async def _reap(self) -> None:
        async with AsyncSession(self._queue) as session:
            reaped = await jobs.requeue_lost_jobs(
                session,
                lost_after=self._settings.lost_after_seconds,
                now=self._clock.now(),
                verified=self._verified,
            )
        for job in reaped:
            if job.status == JobStatus.FAILED:
                ran = -self._clock.real_seconds_until(job.started_at) if job.started_at else 0.0
                self._observer.ended(job.job_type, Outcome.FAILED, max(0.0, ran))

    async def _archive(self) -> None:
        """Move what ended long ago off the queue, in small batches, from where the last walk stopped."""
        if time.monotonic() > self._walk_again_at:
            self._walked_to, self._walk_again_at = FIRST, time.monotonic() + WALK_AGAIN_SECONDS
        before = self._clock.now() - timedelta(days=self._settings.archive_after_days)
        # A slot's key is what keeps it from being made again, for as long as it is the present one.
        slots_before = min([before, *map(self._present, self._every.values())])
        for _ in range(MOST_ARCHIVED):
            async with AsyncSession(self._queue) as session:
                self._walked_to, is_more = await jobs.archive_jobs(
                    session,
                    after=self._walked_to,
                    age_seconds=min(-self._clock.real_seconds_until(before), LONGEST_AGE_SECONDS),
                    before=before,
                    slots_before=slots_before,
                    most=ARCHIVED_AT_ONCE,
                )
            if not is_more:
                return

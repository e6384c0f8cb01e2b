"""Work that every worker does for the whole queue: requeue lost jobs, enqueue recurring jobs, archive ended jobs."""

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from api.jobs.observer import JobObserver
from api.jobs.work import EngineSettings, Task
from database import jobs
from database.models import JobStatus
from domain.clock import EPOCH, Clock
from domain.job import RunOutcome

log = logging.getLogger(__name__)

ARCHIVE_BATCH, MAX_ARCHIVE_BATCHES = 1000, 20
"""How many jobs are scanned at once for the archive, and how many times per heartbeat."""
RESCAN_SECONDS = 86_400.0
"""How often the scan starts again at the beginning: jobs that were still open may have ended since."""
MAX_AGE_SECONDS = 20 * 365 * 86_400.0
"""The greatest age that is computed, for a business clock that hardly moves."""
FIRST_ID = UUID(int=0)


class Housekeeping:
    """The housekeeping of one worker. All workers may do it at the same time."""

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
        self._scanned_to, self._rescan_at = FIRST_ID, time.monotonic() + RESCAN_SECONDS

    async def run(self) -> None:
        """Requeue and archive at every heartbeat, until cancelled."""
        while True:
            try:
                await self._requeue_lost()
                await self._archive()
            except (SQLAlchemyError, OSError) as error:
                log.warning("Housekeeping of the queue failed, trying again: %s", error)
            await asyncio.sleep(self._settings.heartbeat_seconds)

    async def enqueue_due_slots(self) -> None:
        """Enqueue the recurring jobs of a new slot. Within a slot the database is called only once."""
        for job_type, every in self._every.items():
            slot = self._current_slot(every)
            if self._slots.get(job_type) != slot:
                async with AsyncSession(self._queue) as session:
                    await jobs.enqueue_slot(session, job_type, slot)
                self._slots[job_type] = slot

    def _current_slot(self, every: timedelta) -> datetime:
        return EPOCH + (self._clock.now() - EPOCH) // every * every

    async def _requeue_lost(self) -> None:
        async with AsyncSession(self._queue) as session:
            lost = await jobs.requeue_lost_jobs(
                session,
                lost_after=self._settings.lost_after_seconds,
                now=self._clock.now(),
                verified=self._verified,
            )
        for job in lost:
            if job.status == JobStatus.FAILED:
                seconds = -self._clock.real_seconds_until(job.started_at) if job.started_at else 0.0
                self._observer.ended(job.job_type, RunOutcome.FAILED, max(0.0, seconds))

    async def _archive(self) -> None:
        """Archive jobs that ended long ago, in small batches, from where the last scan stopped."""
        if time.monotonic() > self._rescan_at:
            self._scanned_to, self._rescan_at = FIRST_ID, time.monotonic() + RESCAN_SECONDS
        before = self._clock.now() - timedelta(days=self._settings.archive_after_days)
        # The dedupe key of a job prevents a second one in its slot, so a job of the current slot must stay.
        slots_before = min([before, *map(self._current_slot, self._every.values())])
        for _ in range(MAX_ARCHIVE_BATCHES):
            async with AsyncSession(self._queue) as session:
                self._scanned_to, is_more = await jobs.archive_jobs(
                    session,
                    after=self._scanned_to,
                    age_seconds=min(-self._clock.real_seconds_until(before), MAX_AGE_SECONDS),
                    before=before,
                    slots_before=slots_before,
                    most=ARCHIVE_BATCH,
                )
            if not is_more:
                return

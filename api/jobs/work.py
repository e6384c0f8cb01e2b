"""Tasks, the work they get, the exceptions they may raise, and the settings of the engine."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from api.http.places import NoPlaceFree, Places
from database.tenancy import Scope, transaction
from domain.clock import Clock

R = TypeVar("R")


class RetryLater(Exception):
    """The job did nothing and is to be retried; this counts as an attempt."""

    def __init__(self, reason: str, after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.after_seconds = after_seconds


class Deferred(Exception):
    """The job may not run before `at` (business time); this does not count as an attempt."""

    def __init__(self, at: datetime, reason: str) -> None:
        super().__init__(reason)
        self.at = at


class Unrecoverable(Exception):
    """The job can never succeed and is not retried."""


@dataclass(slots=True)
class Work(Generic[R]):
    """One claimed job, as its task gets it."""

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
    """A job type: the function that runs it, how many run at once in a worker, and what happens after a lost worker.

    `on_lost`: `retry` runs the job again while attempts are left; `verify` runs it again after any number of attempts,
    because the task itself finds out what the lost run did. With `every` (business time, counted from 1970 in UTC) each
    live workspace gets one job of the type per slot, for any number of workers. A slot in which no worker runs has no
    jobs.
    """

    job_type: str
    run: Callable[[Work[R]], Awaitable[None]]
    concurrency: int
    on_lost: Literal["retry", "verify"] = "retry"
    every: timedelta | None = None


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Settings of a worker. Seconds are real time, days are business time."""

    poll_seconds: float = 0.2
    heartbeat_seconds: float = 5.0
    lost_after_seconds: float = 20.0
    stop_within_seconds: float = 20.0
    """From `stop` to the end of `run`. Running jobs get three quarters of it."""
    archive_after_days: float = 30.0
    """How long a completed or cancelled job stays on the queue, where the API lists it."""


@asynccontextmanager
async def hold_place(work: Work[Any], places: Places, host: str | None = None) -> AsyncIterator[None]:
    """Hold a place for a call to a provider; raises Deferred if none becomes free in time."""
    try:
        async with places.hold(work.workspace_id, host):
            yield
    except NoPlaceFree as error:
        raise Deferred(work.clock.after(places.wait_seconds), str(error)) from error

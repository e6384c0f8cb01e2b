"""The worker: does what was put on the queue until it is told to stop."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import FrameType

from prometheus_client import CollectorRegistry
from sqlalchemy.engine import URL

from ai.run import load_graphs
from ai.settings import AiSettings
from api.http.resources import Services, open_services
from api.jobs.engine import Engine, EngineSettings
from api.settings import ApiSettings
from api.tasks import tasks
from api.telemetry.scraping import Scrapes, serve_metrics
from api.telemetry.service import JobMetrics, process_registry, watch_queue
from database.engine import create_pool
from database.roles import ENGINE_ROLE, role_url

log = logging.getLogger(__name__)

QUEUE_CONNECTIONS = 6
ENGINES_SHARE, LAST_SHARE = 0.8, 0.9
"""Of the time to stop: when the engine has signed off, and when a process that closes nothing more is ended."""


async def work(settings: ApiSettings, ai: AiSettings, owner: URL) -> None:
    """Work until SIGTERM or SIGINT, then finish what is claimed; raises DatabaseError when the database is not fit.

    Within `stop_within_seconds` from the signal the process is gone, whatever keeps it.
    """
    stopping = asyncio.Event()
    _stop_on_signals(stopping.set, settings.stop_within_seconds)
    queue = create_pool(role_url(owner, ENGINE_ROLE), size=QUEUE_CONNECTIONS, application_name="salesmatter-queue")
    try:
        async with open_services(settings, ai, owner, name="salesmatter-worker") as services:
            services.commit_notifier.watch(queue)
            await asyncio.to_thread(load_graphs)
            registry, lanes = process_registry(), tasks(settings)
            job_types = [lane.job_type for lane in lanes]
            engine = Engine(
                queue=queue,
                pool=services.pool,
                clock=services.clock,
                tasks=lanes,
                resources=services,
                settings=EngineSettings(
                    poll_seconds=settings.poll_milliseconds / 1000,
                    beat_seconds=settings.lost_after_seconds / 4,
                    lost_after_seconds=settings.lost_after_seconds,
                    stop_within_seconds=ENGINES_SHARE * settings.stop_within_seconds,
                    archive_after_days=settings.archive_after_days,
                ),
                observer=JobMetrics(registry, job_types),
            )
            async with _watched(services, owner, registry, job_types):
                await _run(engine, stopping)
    finally:
        await queue.dispose()


async def _run(engine: Engine[Services], stopping: asyncio.Event) -> None:
    async def stop() -> None:
        await stopping.wait()
        engine.stop()

    waiting = asyncio.create_task(stop())
    try:
        await engine.run()
    finally:
        waiting.cancel()


def _stop_on_signals(stop: Callable[[], None], within_seconds: float) -> None:
    """Call `stop` on SIGTERM and SIGINT, and end the process in time though something in it should not let go.

    By then the engine has signed off, or its database is away: nothing is left that closing in good order would save.
    """
    loop = asyncio.get_running_loop()

    def leave() -> None:
        log.error("The worker did not come to its end in time, and leaves as it is.")
        os._exit(0)

    # Not by the loop: that one may be held up by what is to be ended.
    def told(_signal: int, _frame: FrameType | None) -> None:
        last = threading.Timer(LAST_SHARE * within_seconds, leave)
        last.daemon = True
        last.start()
        loop.call_soon_threadsafe(stop)

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, told)


@asynccontextmanager
async def _watched(
    services: Services, owner: URL, registry: CollectorRegistry, job_types: Sequence[str]
) -> AsyncIterator[None]:
    """Serve the worker's metrics while it works, where a port is set for them."""
    settings = services.settings
    if settings.metrics_port is None:
        yield
        return
    async with (
        watch_queue(owner, services.clock, job_types, settings.lost_after_seconds) as found,
        serve_metrics(Scrapes(registry, found, settings.metrics_token), settings.metrics_port),
    ):
        yield

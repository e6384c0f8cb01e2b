"""The worker: runs the jobs of the queue until it is stopped."""

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
from api.telemetry.scraping import MetricsEndpoint, serve_metrics
from api.telemetry.service import JobMetrics, process_registry, watch_queue
from database.engine import create_pool
from database.roles import ENGINE_ROLE, role_url

log = logging.getLogger(__name__)

QUEUE_CONNECTIONS = 6
ENGINE_STOP_SHARE, EXIT_SHARE = 0.8, 0.9
"""Shares of the stop time: the engine stops within the first, and the process exits after the second at the latest."""


async def work(settings: ApiSettings, ai: AiSettings, owner: URL) -> None:
    """Work until SIGTERM or SIGINT, then finish the claimed jobs; raises DatabaseError for a wrong database schema.

    The process exits within `stop_within_seconds` from the signal, even if a job or a connection does not end.
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
                    heartbeat_seconds=settings.lost_after_seconds / 4,
                    lost_after_seconds=settings.lost_after_seconds,
                    stop_within_seconds=ENGINE_STOP_SHARE * settings.stop_within_seconds,
                    archive_after_days=settings.archive_after_days,
                ),
                observer=JobMetrics(registry, job_types),
            )
            async with _serve_metrics(services, owner, registry, job_types):
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
    """Call `stop` on SIGTERM and SIGINT, and exit the process in time even if something in it does not end.

    By then the engine has stopped or the database is down, so an orderly shutdown would save nothing more.
    """
    loop = asyncio.get_running_loop()

    def exit_now() -> None:
        log.error("The worker did not stop in time. The process exits now.")
        os._exit(0)

    # A thread and not the event loop, which may be blocked.
    def handle(_signal: int, _frame: FrameType | None) -> None:
        timer = threading.Timer(EXIT_SHARE * within_seconds, exit_now)
        timer.daemon = True
        timer.start()
        loop.call_soon_threadsafe(stop)

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, handle)


@asynccontextmanager
async def _serve_metrics(
    services: Services, owner: URL, registry: CollectorRegistry, job_types: Sequence[str]
) -> AsyncIterator[None]:
    """Serve the worker's metrics while the block runs, if a port is set."""
    settings = services.settings
    if settings.metrics_port is None:
        yield
        return
    async with (
        watch_queue(owner, services.clock, job_types, settings.lost_after_seconds) as queue,
        serve_metrics(MetricsEndpoint(registry, queue, settings.metrics_token), settings.metrics_port),
    ):
        yield

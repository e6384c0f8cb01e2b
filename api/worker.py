"""The worker: does what was put on the queue until it is told to stop."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry
from sqlalchemy.engine import URL

from ai.run import warm
from ai.settings import AiSettings
from api.jobs.engine import Engine, EngineSettings
from api.metrics.service import JobMetrics, process_registry, watching
from api.resources import Services, open_services
from api.scraping import Scrapes, serving
from api.settings import ApiSettings
from api.tasks import tasks
from database.engine import create_pool
from database.roles import ENGINE_ROLE, role_url

QUEUE_CONNECTIONS = 6


async def work(settings: ApiSettings, ai: AiSettings, owner: URL) -> None:
    """Work until SIGTERM or SIGINT, then finish what is claimed; raises DatabaseError when the database is not fit."""
    queue = create_pool(role_url(owner, ENGINE_ROLE), size=QUEUE_CONNECTIONS, application_name="salesmatter-queue")
    try:
        async with open_services(settings, ai, owner, name="salesmatter-worker") as services:
            await asyncio.to_thread(warm)
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
                    stop_within_seconds=settings.stop_within_seconds,
                ),
                observer=JobMetrics(registry, job_types),
            )
            loop = asyncio.get_running_loop()
            for name in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(name, engine.stop)
            async with _watched(services, owner, registry, job_types):
                await engine.run()
    finally:
        await queue.dispose()


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
        watching(owner, services.clock, job_types, settings.lost_after_seconds) as found,
        serving(Scrapes(registry, found, settings.metrics_token), settings.metrics_port),
    ):
        yield

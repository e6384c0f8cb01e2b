"""The worker: does what was put on the queue until it is told to stop."""

import asyncio
import signal

from sqlalchemy.engine import URL

from ai.run import warm
from ai.settings import AiSettings
from api.jobs.engine import Engine, EngineSettings
from api.resources import open_services
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
            engine = Engine(
                queue=queue,
                pool=services.pool,
                clock=services.clock,
                tasks=tasks(settings),
                resources=services,
                settings=EngineSettings(
                    poll_seconds=settings.poll_milliseconds / 1000,
                    beat_seconds=settings.lost_after_seconds / 4,
                    lost_after_seconds=settings.lost_after_seconds,
                    stop_within_seconds=settings.stop_within_seconds,
                ),
            )
            loop = asyncio.get_running_loop()
            for name in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(name, engine.stop)
            await engine.run()
    finally:
        await queue.dispose()

"""A worker that applies provider events and nothing else, to be frozen."""

import asyncio
import sys
from typing import cast

from api.delivery.events.tasks import apply_provider_events
from api.http.resources import Services
from api.jobs.engine import Engine, EngineSettings, Task, Work
from database.engine import create_pool
from database.roles import APP_ROLE, ENGINE_ROLE, owner_url, role_url
from domain.clock import Clock

JOB_TYPE = "apply_provider_events"


async def apply(work: Work[None]) -> None:
    """Apply the events, which needs no resources."""
    await apply_provider_events(cast("Work[Services]", work))


async def main(database_url: str) -> None:
    """Work until the parent process ends."""
    owner = owner_url(database_url)
    engine = Engine(
        queue=create_pool(role_url(owner, ENGINE_ROLE), size=2),
        pool=create_pool(role_url(owner, APP_ROLE), size=2),
        clock=Clock(),
        tasks=[Task(JOB_TYPE, apply, concurrency=1)],
        resources=None,
        settings=EngineSettings(poll_seconds=0.05),
    )
    asyncio.get_running_loop().add_reader(sys.stdin, engine.stop)
    await engine.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

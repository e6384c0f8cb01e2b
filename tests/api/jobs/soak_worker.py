"""A worker to be killed: each of its jobs records its start, takes some time, and fails if its payload says so."""

import asyncio
import os
import signal
import sys

from sqlalchemy import text

from api.jobs.engine import Engine, EngineSettings, RetryLater, Task, Work
from database.engine import create_pool
from database.roles import APP_ROLE, ENGINE_ROLE, owner_url, role_url
from domain.clock import Clock

JOB_TYPE = "soak"
LOST_AFTER_SECONDS = 1.0
TABLE = "CREATE TABLE app.soak_starts (job_id uuid, attempt int, process int); GRANT INSERT ON app.soak_starts TO "

_STARTED = text("INSERT INTO app.soak_starts VALUES (:job_id, :attempt, :process)")


async def soak(work: Work[None]) -> None:
    """Record the start, and fail in as many attempts as the payload says."""
    async with work.transaction() as session:
        await session.execute(_STARTED, {"job_id": work.job_id, "attempt": work.attempt, "process": os.getpid()})
    await asyncio.sleep(work.payload["milliseconds"] / 1000)
    if work.attempt <= work.payload["failures"]:
        raise RetryLater("as it is told", after_seconds=0.05)


async def main(database_url: str) -> None:
    """Work until SIGTERM, or until the parent process ends."""
    owner = owner_url(database_url)
    engine = Engine(
        queue=create_pool(role_url(owner, ENGINE_ROLE), size=4),
        pool=create_pool(role_url(owner, APP_ROLE), size=4),
        clock=Clock.parse(os.environ.get("SALESMATTER_CLOCK")),
        tasks=[Task(JOB_TYPE, soak, concurrency=20)],
        resources=None,
        settings=EngineSettings(
            poll_seconds=0.05, heartbeat_seconds=0.2, lost_after_seconds=LOST_AFTER_SECONDS, stop_within_seconds=5.0
        ),
    )
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, engine.stop)
    # Nothing is ever written there: it becomes readable when the other end is closed.
    loop.add_reader(sys.stdin, engine.stop)
    await engine.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

"""A worker for measurements: the job engine of `salesmatter worker`, on jobs that do nothing."""

import asyncio
import signal

from sqlalchemy.engine import URL

from api.jobs.engine import Engine, Task, Work
from api.worker import QUEUE_CONNECTIONS
from database.engine import create_pool
from database.roles import APP_ROLE, ENGINE_ROLE, owner_url, role_url
from database.settings import DatabaseSettings
from domain.clock import Clock

CONCURRENCY = 100
NOOP_JOB, TIMED_JOB = "bench_noop", "bench_timed"
"""The job types: one does nothing, the other prints how many seconds late it started."""


async def _noop(_work: Work[None]) -> None:
    pass


async def _print_lateness(work: Work[None]) -> None:
    print((work.clock.now() - work.scheduled_for).total_seconds())  # noqa: T201 - the benchmark reads it


async def work(owner: URL) -> None:
    """Run the engine until SIGTERM."""
    queue = create_pool(role_url(owner, ENGINE_ROLE), size=QUEUE_CONNECTIONS, application_name="salesmatter-queue")
    pool = create_pool(role_url(owner, APP_ROLE), size=1)
    engine = Engine(
        queue=queue,
        pool=pool,
        clock=Clock(),
        tasks=[Task(NOOP_JOB, _noop, CONCURRENCY), Task(TIMED_JOB, _print_lateness, CONCURRENCY)],
        resources=None,
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, engine.stop)
    try:
        await engine.run()
    finally:
        await pool.dispose()
        await queue.dispose()


if __name__ == "__main__":
    asyncio.run(work(owner_url(DatabaseSettings().owner_url())))

"""The processes of the demo: a sandbox, the API and its workers, on free ports and on the same fast clock."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from sqlalchemy.ext.asyncio import AsyncSession

from api.telemetry.repository import workers_alive
from database.engine import create_pool
from database.roles import ENGINE_ROLE, role_url
from salesmatter import checkout
from salesmatter.demo.business_time import BusinessTime
from salesmatter.errors import DemoFailed
from salesmatter.log_stream import LogFiles
from salesmatter.ports import free_port
from salesmatter.processes import Processes, Program
from salesmatter.stack import Database

WORKER_LIVES_SECONDS = 20.0
READY_SECONDS = 60.0
WORKERS = 2
UNHURRIED = {"SALESMATTER_POLL_MILLISECONDS": "500", "SALESMATTER_BATCH_MILLISECONDS": "40"}
"""Real time that costs nothing here: all of it is spent on looking for work that is not there yet."""
BATCHED = ("records_per_delivery=25", "records_wait_seconds=1800")
"""The sandbox pushes events in batches, which wait for half an hour of business time."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the demo's processes are reached."""

    api_url: str
    sandbox_url: str
    processes: Processes


def refuse_beside_a_worker(database: Database) -> None:
    """Raise DemoFailed when a worker lives on this database: it would take the demo's jobs by the real clock."""

    async def count() -> int:
        pool = create_pool(role_url(database.owner, ENGINE_ROLE), size=1, application_name="salesmatter-demo")
        try:
            async with AsyncSession(pool) as session, session.begin():
                return await workers_alive(session, WORKER_LIVES_SECONDS)
        finally:
            await pool.dispose()

    if asyncio.run(count()):
        raise DemoFailed(
            "A worker runs on this database (`salesmatter up`?), and the demo's time runs faster than its own. "
            "End it, or give the demo another database by DATABASE_URL."
        )


@contextmanager
def open_stage(database: Database, clock: BusinessTime, seed: int) -> Iterator[Stage]:
    """Start the processes and end them; what they write goes to .salesmatter/logs. Raises StartError."""
    api_port, sandbox_port = free_port(), free_port()
    api_url, sandbox_url = f"http://127.0.0.1:{api_port}", f"http://127.0.0.1:{sandbox_port}"
    environment = {
        **database.environment(),
        "SALESMATTER_CLOCK": str(clock),
        "SALESMATTER_PUBLIC_URL": api_url,
        **UNHURRIED,
    }

    def own(name: str, *arguments: str) -> Program:
        return Program(name, [sys.executable, "-m", "salesmatter", *arguments], environment, checkout.root())

    with LogFiles(checkout.state() / "logs", "demo") as logs, Processes(logs.hear) as processes:
        switches = [argument for switch in BATCHED for argument in ("--switch", switch)]
        told = ("--port", str(sandbox_port), "--seed", str(seed), "--clock", str(clock))
        processes.start(own("sandbox", "sandbox", *told, *switches))
        processes.start(own("api", "api", "--port", str(api_port)))
        for number in range(1, WORKERS + 1):
            processes.start(own(f"worker-{number}", "worker"))
        processes.wait_for("sandbox", lambda: _answers(f"{sandbox_url}/__sandbox__/state"), READY_SECONDS)
        processes.wait_for("api", lambda: _answers(f"{api_url}/health/ready"), READY_SECONDS)
        yield Stage(api_url, sandbox_url, processes)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).is_success
    except httpx.HTTPError:
        return False

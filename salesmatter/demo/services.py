"""Starts the demo's processes: the sandbox, the API and workers, on free ports and with the same accelerated clock."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from sqlalchemy.ext.asyncio import AsyncSession

from api.telemetry.repository import count_workers
from database.engine import create_pool
from database.roles import ENGINE_ROLE, role_url
from egress.settings import allow_loopback
from salesmatter import checkout
from salesmatter.demo.business_time import BusinessTime
from salesmatter.errors import DemoFailed
from salesmatter.log_stream import LogFiles
from salesmatter.ports import find_free_port
from salesmatter.processes import Processes, Program
from salesmatter.stack import Database

WORKER_ALIVE_SECONDS = 20.0
READY_TIMEOUT_SECONDS = 60.0
WORKERS = 2
WORKER_SETTINGS = {"SALESMATTER_POLL_MILLISECONDS": "500", "SALESMATTER_BATCH_MILLISECONDS": "40"}
"""Less frequent polling, which costs the demo no time, because most polls would find no job."""
SANDBOX_SWITCHES = ("records_per_delivery=25", "records_wait_seconds=1800")
"""The sandbox sends webhooks in batches after half an hour of business time."""


@dataclass(frozen=True, slots=True)
class Services:
    """The URLs and processes of the running services."""

    api_url: str
    sandbox_url: str
    processes: Processes


def require_no_worker(database: Database) -> None:
    """Raise DemoFailed if a worker runs on this database: it would run the demo's jobs by the real clock."""

    async def count() -> int:
        pool = create_pool(role_url(database.owner, ENGINE_ROLE), size=1, application_name="salesmatter-demo")
        try:
            async with AsyncSession(pool) as session, session.begin():
                return await count_workers(session, WORKER_ALIVE_SECONDS)
        finally:
            await pool.dispose()

    if asyncio.run(count()):
        raise DemoFailed(
            "A worker already runs on this database, but not on the demo's accelerated clock. "
            "Stop it (`salesmatter up`?), or set DATABASE_URL to another database."
        )


@contextmanager
def start_services(database: Database, clock: BusinessTime, seed: int) -> Iterator[Services]:
    """Start the processes, and stop them after the block; they log to .salesmatter/logs. Raises StartError."""
    api_port, sandbox_port = find_free_port(), find_free_port()
    api_url, sandbox_url = f"http://127.0.0.1:{api_port}", f"http://127.0.0.1:{sandbox_port}"
    environment = {
        **database.to_environment(),
        **allow_loopback(),
        "SALESMATTER_CLOCK": str(clock),
        "SALESMATTER_PUBLIC_URL": api_url,
        **WORKER_SETTINGS,
    }

    def build_program(name: str, *arguments: str) -> Program:
        return Program(name, [sys.executable, "-m", "salesmatter", *arguments], environment, checkout.find_root())

    with LogFiles(checkout.ensure_state_dir() / "logs", "demo") as logs, Processes(logs.write_line) as processes:
        switches = [argument for switch in SANDBOX_SWITCHES for argument in ("--switch", switch)]
        options = ("--port", str(sandbox_port), "--seed", str(seed), "--clock", str(clock))
        processes.start(build_program("sandbox", "sandbox", *options, *switches))
        processes.start(build_program("api", "api", "--port", str(api_port)))
        for number in range(1, WORKERS + 1):
            processes.start(build_program(f"worker-{number}", "worker"))
        processes.wait_for("sandbox", lambda: _is_ready(f"{sandbox_url}/__sandbox__/state"), READY_TIMEOUT_SECONDS)
        processes.wait_for("api", lambda: _is_ready(f"{api_url}/health/ready"), READY_TIMEOUT_SECONDS)
        yield Services(api_url, sandbox_url, processes)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).is_success
    except httpx.HTTPError:
        return False

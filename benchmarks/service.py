"""Runs the service as an API and a worker process, and measures their memory."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import ISOLATED_ENVIRONMENT, READY_SECONDS, is_ready
from database.roles import connect
from salesmatter import checkout
from salesmatter.ports import find_free_port
from salesmatter.processes import Processes, Program
from salesmatter.stack import Database

PARTS = ("api", "worker")
# A file of a million rows is larger than the default limit.
UNLIMITED = {"SALESMATTER_RATE_LIMIT": "off", "SALESMATTER_MAX_BODY_MEGABYTES": "1024"}
# The shell prints its process id and then becomes the program.
_PRINT_PID = 'echo $$; exec "$@"'
_MEMORY = {name: re.compile(rf"^{name}:\s*(\d+) kB$", re.MULTILINE) for name in ("VmHWM", "VmRSS")}


@dataclass(frozen=True, slots=True)
class Service:
    """A running service at `url`."""

    url: str
    processes: Processes
    ids: Mapping[str, str]

    def peak_memory(self) -> dict[str, float]:
        """Return the peak memory of each process in MB; empty on a system without /proc."""
        return self._memory("VmHWM")

    def memory(self) -> dict[str, float]:
        """Return the memory of each process in MB; empty on a system without /proc."""
        return self._memory("VmRSS")

    def _memory(self, kind: str) -> dict[str, float]:
        megabytes = {}
        for name, process in self.ids.items():
            status = Path("/proc", process, "status")
            match = _MEMORY[kind].search(status.read_text("ascii")) if status.exists() else None
            if match is not None:
                megabytes[name] = int(match[1]) / 1024
        return megabytes


@contextmanager
def run_service(database: Database, parts: Sequence[str] = PARTS) -> Iterator[Service]:
    """Run the given parts of a service on a migrated database; raises StartError."""
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    ids: dict[str, str] = {}

    def store_first_line(name: str, line: str) -> None:
        ids.setdefault(name, line)

    with Processes(store_first_line) as processes:
        processes.start(_program("api", database, "--port", str(port)))
        if "worker" in parts:
            processes.start(_program("worker", database))
        processes.wait_for("api", lambda: is_ready(f"{url}/health/ready"), READY_SECONDS)
        if "worker" in parts:
            processes.wait_for("worker", lambda: _has_worker(database), READY_SECONDS)
        yield Service(url, processes, ids)
        processes.require_running()


def _program(name: str, database: Database, *arguments: str) -> Program:
    command = ["/bin/sh", "-c", _PRINT_PID, name, sys.executable, "-m", "salesmatter", name, *arguments]
    return Program(
        name, command, {**ISOLATED_ENVIRONMENT, **database.to_environment(), **UNLIMITED}, checkout.find_root()
    )


def _has_worker(database: Database) -> bool:
    with connect(database.direct) as connection:
        return connection.execute("SELECT FROM app.job_workers LIMIT 1").fetchone() is not None

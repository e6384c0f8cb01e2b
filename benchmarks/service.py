"""The service as it is run, an API and a worker in processes of their own, and how much memory they take."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import NOBODY_ELSE, READY_SECONDS, answers
from database.roles import connect
from salesmatter import checkout
from salesmatter.ports import free_port
from salesmatter.processes import Processes, Program
from salesmatter.stack import Database

PARTS = ("api", "worker")
# A file of a million rows is larger than the service takes unless it is told to.
UNLIMITED = {"SALESMATTER_RATE_LIMIT": "off", "SALESMATTER_MAX_BODY_MEGABYTES": "1024"}
# The shell becomes the program, so that the first line it writes names the program's process.
_AFTER_ITS_ID = 'echo $$; exec "$@"'
_MEMORY = {name: re.compile(rf"^{name}:\s*(\d+) kB$", re.MULTILINE) for name in ("VmHWM", "VmRSS")}


@dataclass(frozen=True, slots=True)
class Service:
    """A service that is running on a database at `url`."""

    url: str
    processes: Processes
    ids: Mapping[str, str]

    def peak_memory(self) -> dict[str, float]:
        """Return the most memory that each part has held so far, in MB; nothing on a system without /proc."""
        return self._memory("VmHWM")

    def memory(self) -> dict[str, float]:
        """Return the memory that each part holds, in MB; nothing on a system without /proc."""
        return self._memory("VmRSS")

    def _memory(self, kind: str) -> dict[str, float]:
        found = {}
        for name, process in self.ids.items():
            status = Path("/proc", process, "status")
            held = _MEMORY[kind].search(status.read_text("ascii")) if status.exists() else None
            if held is not None:
                found[name] = int(held[1]) / 1024
        return found


@contextmanager
def running(database: Database, parts: Sequence[str] = PARTS) -> Iterator[Service]:
    """Run a service on a migrated database, anew, or its API alone; raises StartError."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    ids: dict[str, str] = {}

    def keep_first(name: str, line: str) -> None:
        ids.setdefault(name, line)

    with Processes(keep_first) as processes:
        processes.start(_program("api", database, "--port", str(port)))
        if "worker" in parts:
            processes.start(_program("worker", database))
        processes.wait_for("api", lambda: answers(f"{url}/health/ready"), READY_SECONDS)
        if "worker" in parts:
            processes.wait_for("worker", lambda: _works_on(database), READY_SECONDS)
        yield Service(url, processes, ids)
        processes.check()


def _program(name: str, database: Database, *arguments: str) -> Program:
    command = ["/bin/sh", "-c", _AFTER_ITS_ID, name, sys.executable, "-m", "salesmatter", name, *arguments]
    return Program(name, command, {**NOBODY_ELSE, **database.environment(), **UNLIMITED}, checkout.root())


def _works_on(database: Database) -> bool:
    with connect(database.direct) as connection:
        return connection.execute("SELECT FROM app.job_workers LIMIT 1").fetchone() is not None

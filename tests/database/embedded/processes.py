"""What the tests of the embedded server do to it, and how they look at its processes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests import ROOT

PATIENCE = 5.0

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has a stand-in user")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")

OWNER = """
import sys
from pathlib import Path
from database.embedded import start
server = start(Path(sys.argv[1]))
print(server.url, server.owned, flush=True)
sys.stdin.read()
server.stop()
"""


@contextmanager
def another_process(home: Path, command: tuple[str, ...] = (sys.executable,)) -> Iterator[tuple[int, str, bool]]:
    """A process that starts or joins the server of `home` and keeps it: its id, the URL, whether it owns."""
    process = subprocess.Popen(
        [*command, "-c", OWNER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    try:
        url, owned = process.stdout.readline().split()
        yield process.pid, url, owned == "True"
    finally:
        process.communicate(timeout=30)


def eventually(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Whether the condition comes true within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def one(url: str, statement: str) -> object:
    """The one value that the statement answers."""
    with psycopg.connect(url, connect_timeout=5) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return None if row is None else row[0]


def accepts(url: str) -> bool:
    """Whether the server answers now."""
    try:
        return one(url, "SELECT 1") == 1
    except psycopg.OperationalError:
        return False


def commit_rows(url: str) -> None:
    """A table `kept` of 1000 rows."""
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")


def kept_rows(url: str) -> object:
    """How many of them are there."""
    return one(url, "SELECT count(*) FROM kept")


def postmaster_of(data: Path) -> int:
    """The process id of the running server."""
    return int((data / "postmaster.pid").read_text().splitlines()[0])


def parent_of(process: int) -> int:
    """The process id of the parent; that of a postmaster is the supervisor."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def has_ended(process: int) -> bool:
    """Whether the process runs no more; init may take its time to bury it."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True

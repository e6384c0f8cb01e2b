"""Helpers for tests of the embedded server and its processes."""

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

WAIT_SECONDS = 5.0

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as another user")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

OWNER = """
import sys
from pathlib import Path
from database.embedded import start
server = start(Path(sys.argv[1]))
print(server.url, server.is_owned, flush=True)
sys.stdin.read()
server.stop()
"""


@contextmanager
def start_in_another_process(
    home: Path, command: tuple[str, ...] = (sys.executable,)
) -> Iterator[tuple[int, str, bool]]:
    """Start or join the server of `home` in another process; yields its id, the URL, and whether it owns the server."""
    process = subprocess.Popen(
        [*command, "-c", OWNER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    try:
        url, owned = process.stdout.readline().split()
        yield process.pid, url, owned == "True"
    finally:
        process.communicate(timeout=30)


def wait_until(condition: Callable[[], bool], seconds: float = WAIT_SECONDS) -> bool:
    """Wait for a condition, and return whether it became true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def fetch_value(url: str, statement: str) -> object:
    """Return the first column of the first row."""
    with psycopg.connect(url, connect_timeout=5) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return None if row is None else row[0]


def accepts_connections(url: str) -> bool:
    """Return whether the server accepts connections now."""
    try:
        return fetch_value(url, "SELECT 1") == 1
    except psycopg.OperationalError:
        return False


def commit_rows(url: str) -> None:
    """Create a table `kept` of 1000 rows."""
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")


def count_rows(url: str) -> object:
    """Return the number of rows of `kept`."""
    return fetch_value(url, "SELECT count(*) FROM kept")


def read_postmaster_id(data: Path) -> int:
    """Return the process id of the running server."""
    return int((data / "postmaster.pid").read_text().splitlines()[0])


def read_parent_id(process: int) -> int:
    """Return the id of the parent process; the parent of a postmaster is the supervisor."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def has_ended(process: int) -> bool:
    """Return whether the process has ended; a zombie counts as ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True

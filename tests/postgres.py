"""One Postgres for a whole test run, shared by its workers and gone with it, and databases cloned from a template.

It is a pytest plugin: `tests/conftest.py` lists it in `pytest_plugins`. Under pytest-xdist the controller owns the
server, because it outlives every worker; otherwise the first test that asks starts it.

PYTEST_DONT_REWRITE: the conftest imports functions from here before pytest could rewrite assertions; there are none.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from database.embedded import EmbeddedPostgresError, Server, start

MEMORY = Path("/dev/shm")
MIN_MEMORY_BYTES = 1024**3
PREFIX = "salesmatter-test-"
TEMPLATE_LOCK = 0x5A1E5
WORKER_INPUT = "salesmatter_postgres"
SERVER_VARIABLE = "SALESMATTER_TEST_POSTGRES"
"""Set by what runs tests again and again, so that they share one server."""

_server_key = pytest.StashKey[tuple[Server, Path]]()


@pytest.fixture(scope="session")
def postgres_url(pytestconfig: pytest.Config) -> str:
    """The run's server, as superuser, on its own maintenance database `salesmatter`."""
    return server_url(pytestconfig)


def server_url(config: pytest.Config) -> str:
    """Return the server that SALESMATTER_TEST_POSTGRES names, or start the run's own. Raises EmbeddedPostgresError."""
    if SERVER_VARIABLE in os.environ:
        return os.environ[SERVER_VARIABLE]
    given: dict[str, str] | None = getattr(config, "workerinput", {}).get(WORKER_INPUT)
    if given is not None:
        if "error" in given:
            raise EmbeddedPostgresError(given["error"])
        return given["url"]
    if _server_key not in config.stash:
        home = new_home()
        try:
            server = start(home, durable=False)
            _bound_authentication(server.url)
            config.stash[_server_key] = (server, home)
        except BaseException:
            remove_home(home)
            raise
    return config.stash[_server_key][0].url


def _bound_authentication(url: str) -> None:
    """End a session that stays half authenticated, because its event loop stands still: DROP DATABASE waits for it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET authentication_timeout = '10s'")
        connection.execute("SELECT pg_reload_conf()")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Called by pytest-xdist in the controller, once per worker and before the worker starts."""
    try:
        node.workerinput[WORKER_INPUT] = {"url": server_url(node.config)}
    except EmbeddedPostgresError as error:
        node.workerinput[WORKER_INPUT] = {"error": str(error)}


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server that this process owns and remove its data."""
    if _server_key in config.stash:
        server, home = config.stash[_server_key]
        del config.stash[_server_key]
        server.stop()
        remove_home(home)


def new_home() -> Path:
    """A directory for one server's data, in memory where there is room. Those of killed runs are removed first."""
    base = Path(tempfile.gettempdir())
    with contextlib.suppress(OSError):
        if os.access(MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(MEMORY).free > MIN_MEMORY_BYTES:
            base = MEMORY
    for left in base.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if left.stat().st_uid == os.geteuid() and not left.is_symlink() and _is_orphan(left):
                remove_home(left)
    home = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=base))
    if os.geteuid() == 0:
        home.chmod(0o711)
    return home


def remove_home(home: Path) -> None:
    """Remove a stopped server's data, wherever the launcher put it."""
    with contextlib.suppress(OSError):
        place = Path((home / "place").read_text(encoding="utf-8").splitlines()[0])
        if place != home:
            shutil.rmtree(place, ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)


def _is_orphan(home: Path) -> bool:
    """Whether the process that made the home is gone, and no server runs there."""
    maker = home.name.removeprefix(PREFIX).partition("-")[0]
    if not maker.isdigit() or _is_alive(int(maker)):
        return False
    with (home / "lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def database_url(url: str, name: str) -> str:
    """The same server and user, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def create_database(url: str, name: str, template: str | None = None) -> str:
    """Make an empty database, or a copy of a template that has no connections; returns its URL."""
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
        sql.Identifier(name), sql.Identifier(template or "template1")
    )
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
    return database_url(url, name)


def drop_database(url: str, name: str) -> None:
    """Drop a database and whatever is still connected to it; one that does not exist is fine."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@dataclass(slots=True)
class DropQueue:
    """Drops databases in a thread of its own, one after the other, while the tests go on.

    DROP DATABASE waits for every session that is being authenticated. When the event loop that authenticates one is the
    loop of an open app, it stands still between two tests, so a test that waited for the drop would wait for itself.
    """

    url: str
    most_pending: int = 20
    _executor: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "drop-database"))
    pending: deque[Future[None]] = field(default_factory=deque)

    def add(self, name: str) -> None:
        """Drop a database soon; waits only when `most_pending` others are still to be dropped. Raises their errors."""
        self.pending.append(self._executor.submit(drop_database, self.url, name))
        while self.pending and (self.pending[0].done() or len(self.pending) > self.most_pending):
            self.pending.popleft().result()

    def wait(self) -> None:
        """Wait until all of them are dropped. Raises their errors."""
        while self.pending:
            self.pending.popleft().result()

    def close(self) -> None:
        """Wait for the last of them, and end the thread."""
        try:
            self.wait()
        finally:
            self._executor.shutdown()


@pytest.fixture(scope="session")
def drop_queue(postgres_url: str) -> Iterator[DropQueue]:
    """The worker's queue of databases that are not needed any more."""
    queue = DropQueue(postgres_url)
    yield queue
    queue.close()


def ensure_template(url: str, name: str, build: Callable[[str], None]) -> str:
    """Build the template `name` once per server, whichever worker comes first; returns the name.

    `build` gets the URL of an empty database and must have closed its connections when it returns. When it raises, the
    half-built database is dropped and the next caller builds anew.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (TEMPLATE_LOCK,))
        found = connection.execute("SELECT datistemplate FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if found == (True,):
            return name
        drop_database(url, name)
        build(create_database(url, name))
        connection.execute(
            sql.SQL("ALTER DATABASE {} IS_TEMPLATE true ALLOW_CONNECTIONS false").format(sql.Identifier(name))
        )
    return name

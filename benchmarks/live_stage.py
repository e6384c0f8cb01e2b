"""What live queries are measured on: an API in a process of its own, workspaces, and those who subscribe and write."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from benchmarks.errors import BenchFailed
from benchmarks.live_marks import MARKED
from benchmarks.service import Service, running
from benchmarks.wire import request
from database.roles import APP_ROLE, connect, libpq_url, role_url
from salesmatter import accounts, checkout
from salesmatter.stack import Database

LEADS = 10
"""How many leads a list has; the newest is written again and again."""
WRITER_SECONDS = 600.0

_MAKE = f"""
WITH workspace AS (
  INSERT INTO app.workspaces (account_id, name, default_from_name, default_from_email)
  SELECT %(account)s, 'Bench', 'Ann', 'ann@bench.example' FROM generate_series(1, %(workspaces)s) RETURNING id
), list AS (
  INSERT INTO app.lead_lists (workspace_id, name)
  SELECT id, 'List ' || number FROM workspace, generate_series(1, %(lists)s) AS number RETURNING id, workspace_id
), lead AS (
  INSERT INTO app.leads (workspace_id, list_id, first_name, last_name, email, company, role, custom_fields)
  SELECT workspace_id, id, 'Thandi', 'Nkosi', 'p' || number || '@' || id || '.example', 'Protea Foods (Pty) Ltd',
         CASE number WHEN {LEADS} THEN '{MARKED}' ELSE 'Head of Procurement' END,
         '{{"phone": "+27 21 555 0100", "city": "Cape Town", "employees": 250}}'
    FROM list, generate_series(1, {LEADS}) AS number
)
SELECT workspace_id, id FROM list
"""  # noqa: S608 - our own numbers


@dataclass(frozen=True, slots=True)
class Query:
    """The leads of one list."""

    workspace: UUID
    list_id: UUID

    def path(self, limit: int = LEADS) -> str:
        """Return what is asked for; with other limits the same leads, as other queries."""
        return f"/api/workspaces/{self.workspace}/leads?listId={self.list_id}&limit={limit}"


@dataclass(frozen=True, slots=True)
class Stage:
    """A running API, and an account with a key of its own."""

    database: Database
    service: Service
    account: UUID
    api_key: str

    @property
    def app(self) -> str:
        """The URL by which the app's role logs in."""
        return libpq_url(role_url(self.database.owner, APP_ROLE))

    @property
    def owner(self) -> str:
        """The URL by which the owner logs in."""
        return libpq_url(self.database.direct)

    def queries(self, *, workspaces: int = 1, lists: int = 1) -> list[Query]:
        """Make workspaces of so many lists each, and return a query for each list."""
        told = {"account": self.account, "workspaces": workspaces, "lists": lists}
        with connect(self.database.direct) as connection:
            made = connection.execute(_MAKE, told).fetchall()
            connection.execute("VACUUM (ANALYZE) app.leads, app.lead_lists, app.workspaces, app.changes")
        return [Query(*ids) for ids in made]

    @contextmanager
    def subscribed(self, paths: Sequence[str], *, listen: bool = False) -> Iterator["Subscribers"]:
        """Subscribe to paths, each once for every time it is named, until the block ends; `listen` to marks besides."""
        asked = [
            request("GET", path, self.api_key).replace(b"application/json", b"text/event-stream", 1).decode()
            for path in paths
        ]
        told = {
            "port": urlsplit(self.service.url).port,
            "requests": asked,
            "listen": self.owner if listen else None,
        }
        with _started("benchmarks.live_subscribers") as process:
            subscribers = Subscribers(process)
            subscribers.tell(told)
            subscribers.connected_seconds = float(subscribers.hear()["connected"])
            yield subscribers

    def write(self, kind: str, acts: Sequence[tuple[int, UUID | None]], gaps: Sequence[float]) -> dict[int, int]:
        """Do acts, each after the gap of the one before; returns when each began, by the monotonic clock in ns."""
        named = [(number, None if workspace is None else str(workspace)) for number, workspace in acts]
        told = {"kind": kind, "app": self.app, "owner": self.owner, "acts": named, "gaps": list(gaps)}
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.live_writer"],
            input=json.dumps(told),
            capture_output=True,
            text=True,
            cwd=checkout.root(),
            timeout=WRITER_SECONDS,
            check=False,
        )
        if done.returncode:
            raise BenchFailed(f"The writer failed: {done.stderr[-500:]}")
        return dict(json.loads(done.stdout))


@contextmanager
def staged(database: Database) -> Iterator[Stage]:
    """Run the API on a migrated database; raises StartError."""
    account = asyncio.run(accounts.create(database, name="Bench", email="ann@bench.example", user_name="Ann"))
    with running(database, ["api"]) as service:
        yield Stage(database, service, account.account_id, account.api_key)


class Subscribers:
    """A process that holds subscriptions."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.connected_seconds = 0.0

    def tell(self, what: Mapping[str, Any]) -> None:
        """Write it a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        """Return what it says next; raises BenchFailed when it has ended instead."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchFailed(f"The subscribers failed: {self._process.stderr.read()[-500:]}")
        said: dict[str, Any] = json.loads(line)
        return said

    def end(self) -> dict[str, Any]:
        """Have it leave, and return all that it noted."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self.hear()


@contextmanager
def _started(module: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(  # noqa: S603 - ours
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=checkout.root(),
    ) as process:
        try:
            yield process
        finally:
            process.kill()

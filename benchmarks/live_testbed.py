"""The test bed of live queries: an API process, workspaces, subscribers and a writer."""

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

from benchmarks.errors import BenchmarkError
from benchmarks.live_marks import MARKED_ROLE
from benchmarks.raw_http import build_request
from benchmarks.service import Service, run_service
from database.roles import APP_ROLE, connect, libpq_url, role_url
from salesmatter import accounts, checkout
from salesmatter.stack import Database

LEADS = 10
"""The number of leads of a list; commits change the newest."""
WRITER_SECONDS = 600.0

_ADD_LISTS = f"""
WITH workspace AS (
  INSERT INTO app.workspaces (account_id, name, default_from_name, default_from_email)
  SELECT %(account)s, 'Bench', 'Ann', 'ann@bench.example' FROM generate_series(1, %(workspaces)s) RETURNING id
), list AS (
  INSERT INTO app.lead_lists (workspace_id, name)
  SELECT id, 'List ' || number FROM workspace, generate_series(1, %(lists)s) AS number RETURNING id, workspace_id
), lead AS (
  INSERT INTO app.leads (workspace_id, list_id, first_name, last_name, email, company, role, custom_fields)
  SELECT workspace_id, id, 'Thandi', 'Nkosi', 'p' || number || '@' || id || '.example', 'Protea Foods (Pty) Ltd',
         CASE number WHEN {LEADS} THEN '{MARKED_ROLE}' ELSE 'Head of Procurement' END,
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
        """Return the path of the query; another limit makes it another query on the same leads."""
        return f"/api/workspaces/{self.workspace}/leads?listId={self.list_id}&limit={limit}"


@dataclass(frozen=True, slots=True)
class LiveTestbed:
    """A running API, and an account with an API key."""

    database: Database
    service: Service
    account: UUID
    api_key: str

    @property
    def app_url(self) -> str:
        """The URL of the app's role."""
        return libpq_url(role_url(self.database.owner, APP_ROLE))

    @property
    def owner_url(self) -> str:
        """The URL of the owner."""
        return libpq_url(self.database.direct)

    def create_queries(self, *, workspaces: int = 1, lists: int = 1) -> list[Query]:
        """Create workspaces with `lists` lists each, and return a query for each list."""
        parameters = {"account": self.account, "workspaces": workspaces, "lists": lists}
        with connect(self.database.direct) as connection:
            rows = connection.execute(_ADD_LISTS, parameters).fetchall()
            connection.execute("VACUUM (ANALYZE) app.leads, app.lead_lists, app.workspaces, app.changes")
        return [Query(*ids) for ids in rows]

    @contextmanager
    def subscribe(self, paths: Sequence[str], *, listen: bool = False) -> Iterator["Subscribers"]:
        """Subscribe to each of the paths until the block ends; with `listen` also to the plain notifications."""
        requests = [
            build_request("GET", path, self.api_key).replace(b"application/json", b"text/event-stream", 1).decode()
            for path in paths
        ]
        config = {
            "port": urlsplit(self.service.url).port,
            "requests": requests,
            "listen": self.owner_url if listen else None,
        }
        with _start_process("benchmarks.live_subscribers") as process:
            subscribers = Subscribers(process)
            subscribers.send(config)
            subscribers.connected_seconds = float(subscribers.receive()["connected"])
            yield subscribers

    def write(self, kind: str, commits: Sequence[tuple[int, UUID | None]], gaps: Sequence[float]) -> dict[int, int]:
        """Run commits with gaps after each; returns the monotonic start time of each in ns."""
        config = {
            "kind": kind,
            "app": self.app_url,
            "owner": self.owner_url,
            "commits": [(number, None if workspace is None else str(workspace)) for number, workspace in commits],
            "gaps": list(gaps),
        }
        result = subprocess.run(
            [sys.executable, "-m", "benchmarks.live_writer"],
            input=json.dumps(config),
            capture_output=True,
            text=True,
            cwd=checkout.find_root(),
            timeout=WRITER_SECONDS,
            check=False,
        )
        if result.returncode:
            raise BenchmarkError(f"The writer failed: {result.stderr[-500:]}")
        return dict(json.loads(result.stdout))


@contextmanager
def start_live_testbed(database: Database) -> Iterator[LiveTestbed]:
    """Run the API on a migrated database; raises StartError."""
    account = asyncio.run(accounts.create_account(database, name="Bench", email="ann@bench.example", user_name="Ann"))
    with run_service(database, ["api"]) as service:
        yield LiveTestbed(database, service, account.account_id, account.api_key)


class Subscribers:
    """A process with subscriptions."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.connected_seconds = 0.0

    def send(self, message: Mapping[str, Any]) -> None:
        """Write a message to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """Return its next message; raises BenchmarkError when the process has ended."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkError(f"The subscribers failed: {self._process.stderr.read()[-500:]}")
        message: dict[str, Any] = json.loads(line)
        return message

    def end(self) -> dict[str, Any]:
        """Close the subscriptions, and return what the process recorded."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self.receive()


@contextmanager
def _start_process(module: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=checkout.find_root(),
    ) as process:
        try:
            yield process
        finally:
            process.kill()

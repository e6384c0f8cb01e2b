"""A worker that is killed with SIGKILL in the middle of a block: another one goes on, as if nothing had happened."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from api.settings import ApiSettings
from tests import ROOT
from tests.api.importing import OUTCOMES, Row, Tables, in_blocks, tables
from tests.api.serving import serving
from tests.business_clock import BUSINESS_ENVIRONMENT

__all__ = ["tables"]

KEY = "a key of the tests"
SECONDS = 60.0
BLOCKS, ROWS, UNHURT = 4, 300, 2
WORKSPACE = {"name": "Outbound", "defaultFromName": "Ann", "defaultFromEmail": "ann@acme.example"}
PEOPLE = [[f"b{block}r{row}@example.com" for row in range(ROWS)] for block in range(BLOCKS)]
FILE = in_blocks(
    "Email,First Name,Company,City",
    *([f"{one},Ann,Acme {row},{'Ulm' if row % 2 else ''}" for row, one in enumerate(block)] for block in PEOPLE),
).encode()
KNOWN = [
    {"email": one, "firstName": "" if row % 3 else "Zoe", "customFields": {"City": "Bonn"} if row % 2 else {}}
    for block in PEOPLE
    for row, one in enumerate(block[:20])
]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180, func_only=True)]


class Workspace:
    """One workspace with leads of its own and the uploaded file, spoken to over HTTP."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.id: str = self._made(client.post("/api/workspaces", json=WORKSPACE))["id"]
        self._base = f"/api/workspaces/{self.id}"
        self._made(client.post(f"{self._base}/leads/bulk", json={"leads": KNOWN}))
        upload = client.post(f"{self._base}/imports", files={"file": ("people.csv", FILE)})
        self._import = f"{self._base}/imports/{self._made(upload)['id']}"

    def _made(self, response: httpx.Response) -> Any:
        assert response.is_success, response.text
        return response.json()

    def ask(self, what: str) -> None:
        """Ask for a commit or an undo."""
        self._made(self.client.post(f"{self._import}/{what}"))

    def now(self) -> dict[str, Any]:
        """Return the import as it is now."""
        found: dict[str, Any] = self._made(self.client.get(self._import))
        return found

    def counts(self) -> dict[str, int]:
        """Return all that the import counts."""
        names = (*OUTCOMES, "processed", "removed", "restored", "kept")
        return {name: self.now()[f"{name}Count"] for name in names}


@pytest.fixture
def client(database_url: str) -> Iterator[httpx.Client]:
    """Speak to the API over real HTTP."""
    with (
        serving(ApiSettings(secret_key=SecretStr(KEY), pool_size=5), database_url) as service,
        httpx.Client(base_url=service.url, headers=service.headers, timeout=SECONDS) as client,
    ):
        yield client


@contextmanager
def worker(database_url: str, home: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a worker in a process of its own; it is killed at the end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SALESMATTER_", "DATABASE_"))}
    told = {
        "DATABASE_URL": database_url,
        "SALESMATTER_HOME": str(home),
        "SALESMATTER_SECRET_KEY": KEY,
        "SALESMATTER_LOST_AFTER_SECONDS": "2",
        "SALESMATTER_POLL_MILLISECONDS": "20",
    }
    with (
        (home / "worker.log").open("ab") as log,
        subprocess.Popen(
            [sys.executable, "-m", "salesmatter", "worker"],
            cwd=ROOT,
            env=kept | BUSINESS_ENVIRONMENT | told,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def until(is_so: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    """Poll until something is so; fails when the worker ends before."""
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert process.poll() is None, "the worker has ended"
        assert time.monotonic() < deadline, "not so in time"
        time.sleep(0.01)


def kill_within_a_block(
    workspace: Workspace, tables: Tables, database_url: str, process: "subprocess.Popen[bytes]"
) -> None:
    """Kill the worker while its third block waits for a lead that somebody holds, and then let go of the lead."""
    waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(database_url) as other:
        held = "SELECT FROM app.leads WHERE workspace_id = %s AND email = %s AND deleted_at IS NULL FOR UPDATE"
        assert other.execute(held, [workspace.id, PEOPLE[UNHURT][7]]).rowcount == 1
        until(lambda: workspace.now()["processedCount"] == UNHURT * ROWS and tables.run(waiting) != [], process)
        process.kill()
        assert process.wait(SECONDS) == -9
    assert 0 < workspace.now()["processedCount"] < BLOCKS * ROWS


def fields(tables: Tables, workspace: Workspace) -> dict[str, Row]:
    """Return the workspace's leads by address, without ids and times; and whether each is in a list."""
    own = {"id", "workspace_id", "created_at", "list_id"}
    return {
        email: {name: value for name, value in row.items() if name not in own} | {"listed": row["list_id"] is not None}
        for email, row in tables.leads(workspace.id).items()
    }


def test_a_commit_goes_on(client: httpx.Client, tables: Tables, database_url: str, tmp_path: Path) -> None:
    """After a kill in mid-commit leads, counts and list are those of an undisturbed import of the same file."""
    hurt, spared = Workspace(client), Workspace(client)
    hurt.ask("commit")
    with worker(database_url, tmp_path) as first:
        kill_within_a_block(hurt, tables, database_url, first)
    assert (hurt.now()["state"], hurt.now()["newCount"]) == ("committing", UNHURT * (ROWS - 20))
    spared.ask("commit")
    with worker(database_url, tmp_path) as second:
        until(lambda: {hurt.now()["state"], spared.now()["state"]} == {"committed"}, second)
    assert hurt.counts() == spared.counts()
    assert hurt.counts()["new"] == BLOCKS * (ROWS - 20)
    assert fields(tables, hurt) == fields(tables, spared)
    assert len(fields(tables, hurt)) == BLOCKS * ROWS
    assert list(tables.lists(hurt.id).values()) == list(tables.lists(spared.id).values()) == [BLOCKS * ROWS]


def test_an_undo_goes_on(client: httpx.Client, tables: Tables, database_url: str, tmp_path: Path) -> None:
    """After a kill in mid-undo every lead is as it was before the commit."""
    workspace = Workspace(client)
    before = tables.leads(workspace.id)
    with worker(database_url, tmp_path) as first:
        workspace.ask("commit")
        until(lambda: workspace.now()["state"] == "committed", first)
        assert tables.leads(workspace.id) != before
        workspace.ask("undo")
        kill_within_a_block(workspace, tables, database_url, first)
    assert (workspace.now()["state"], workspace.now()["removedCount"]) == ("undoing", UNHURT * (ROWS - 20))
    with worker(database_url, tmp_path) as second:
        until(lambda: workspace.now()["state"] == "undone", second)
    assert tables.leads(workspace.id) == before
    assert tables.lists(workspace.id) == {}
    counts = workspace.counts()
    assert (counts["removed"], counts["restored"], counts["kept"]) == (counts["new"], counts["updated"], 0)

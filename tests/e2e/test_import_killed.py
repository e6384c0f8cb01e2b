"""End-to-end tests of a worker killed in the middle of an import block: another worker continues the import."""

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
BLOCKS, ROWS, COMPLETED = 4, 300, 2
WORKSPACE = {"name": "Outbound", "defaultFromName": "Ann", "defaultFromEmail": "ann@acme.example"}
PEOPLE = [[f"b{block}r{row}@example.com" for row in range(ROWS)] for block in range(BLOCKS)]
FILE = in_blocks(
    "Email,First Name,Company,City",
    *([f"{email},Ann,Acme {row},{'Ulm' if row % 2 else ''}" for row, email in enumerate(block)] for block in PEOPLE),
).encode()
EXISTING_LEADS = [
    {"email": email, "firstName": "" if row % 3 else "Zoe", "customFields": {"City": "Bonn"} if row % 2 else {}}
    for block in PEOPLE
    for row, email in enumerate(block[:20])
]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180, func_only=True)]


class Workspace:
    """A workspace with existing leads and an uploaded file, used over HTTP."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.id: str = self._json(client.post("/api/workspaces", json=WORKSPACE))["id"]
        self._base = f"/api/workspaces/{self.id}"
        self._json(client.post(f"{self._base}/leads/bulk", json={"leads": EXISTING_LEADS}))
        upload = client.post(f"{self._base}/imports", files={"file": ("people.csv", FILE)})
        self._import = f"{self._base}/imports/{self._json(upload)['id']}"

    def _json(self, response: httpx.Response) -> Any:
        assert response.is_success, response.text
        return response.json()

    def request(self, action: str) -> None:
        """Request a commit or an undo."""
        self._json(self.client.post(f"{self._import}/{action}"))

    def get_import(self) -> dict[str, Any]:
        """Return the current state of the import."""
        lead_import: dict[str, Any] = self._json(self.client.get(self._import))
        return lead_import

    def counts(self) -> dict[str, int]:
        """Return all counts of the import."""
        names = (*OUTCOMES, "processed", "removed", "restored", "kept")
        return {name: self.get_import()[f"{name}Count"] for name in names}


@pytest.fixture
def client(database_url: str) -> Iterator[httpx.Client]:
    """Return a client of the API over real HTTP."""
    with (
        serving(ApiSettings(secret_key=SecretStr(KEY), pool_size=5), database_url) as service,
        httpx.Client(base_url=service.url, headers=service.headers, timeout=SECONDS) as client,
    ):
        yield client


@contextmanager
def worker(database_url: str, home: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a worker in a separate process, which is killed after the block."""
    inherited = {n: value for n, value in os.environ.items() if not n.startswith(("SALESMATTER_", "DATABASE_"))}
    settings = {
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
            env=inherited | BUSINESS_ENVIRONMENT | settings,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    """Poll until the condition is true; fail if the worker ends first."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert process.poll() is None, "the worker has ended"
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.01)


def kill_within_a_block(
    workspace: Workspace, tables: Tables, database_url: str, process: "subprocess.Popen[bytes]"
) -> None:
    """Kill the worker while its third block waits for a locked lead, and then release the lock."""
    waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(database_url) as other:
        lock = "SELECT FROM app.leads WHERE workspace_id = %s AND email = %s AND deleted_at IS NULL FOR UPDATE"
        assert other.execute(lock, [workspace.id, PEOPLE[COMPLETED][7]]).rowcount == 1
        wait_until(
            lambda: workspace.get_import()["processedCount"] == COMPLETED * ROWS and tables.run(waiting) != [], process
        )
        process.kill()
        assert process.wait(SECONDS) == -9
    assert 0 < workspace.get_import()["processedCount"] < BLOCKS * ROWS


def fields(tables: Tables, workspace: Workspace) -> dict[str, Row]:
    """Return the workspace's leads by email address, without ids and times, and whether each is in a list."""
    excluded = {"id", "workspace_id", "created_at", "list_id"}
    return {
        email: {name: value for name, value in row.items() if name not in excluded}
        | {"listed": row["list_id"] is not None}
        for email, row in tables.leads(workspace.id).items()
    }


def test_another_worker_continues_a_commit(
    client: httpx.Client, tables: Tables, database_url: str, tmp_path: Path
) -> None:
    """After the kill the leads, counts and list equal those of an uninterrupted import of the same file."""
    interrupted, reference = Workspace(client), Workspace(client)
    interrupted.request("commit")
    with worker(database_url, tmp_path) as first:
        kill_within_a_block(interrupted, tables, database_url, first)
    assert (interrupted.get_import()["state"], interrupted.get_import()["newCount"]) == (
        "committing",
        COMPLETED * (ROWS - 20),
    )
    reference.request("commit")
    with worker(database_url, tmp_path) as second:
        wait_until(
            lambda: {interrupted.get_import()["state"], reference.get_import()["state"]} == {"committed"}, second
        )
    assert interrupted.counts() == reference.counts()
    assert interrupted.counts()["new"] == BLOCKS * (ROWS - 20)
    assert fields(tables, interrupted) == fields(tables, reference)
    assert len(fields(tables, interrupted)) == BLOCKS * ROWS
    assert list(tables.lists(interrupted.id).values()) == list(tables.lists(reference.id).values()) == [BLOCKS * ROWS]


def test_another_worker_continues_an_undo(
    client: httpx.Client, tables: Tables, database_url: str, tmp_path: Path
) -> None:
    """After the kill every lead is as it was before the commit."""
    workspace = Workspace(client)
    before = tables.leads(workspace.id)
    with worker(database_url, tmp_path) as first:
        workspace.request("commit")
        wait_until(lambda: workspace.get_import()["state"] == "committed", first)
        assert tables.leads(workspace.id) != before
        workspace.request("undo")
        kill_within_a_block(workspace, tables, database_url, first)
    assert (workspace.get_import()["state"], workspace.get_import()["removedCount"]) == (
        "undoing",
        COMPLETED * (ROWS - 20),
    )
    with worker(database_url, tmp_path) as second:
        wait_until(lambda: workspace.get_import()["state"] == "undone", second)
    assert tables.leads(workspace.id) == before
    assert tables.lists(workspace.id) == {}
    counts = workspace.counts()
    assert (counts["removed"], counts["restored"], counts["kept"]) == (counts["new"], counts["updated"], 0)

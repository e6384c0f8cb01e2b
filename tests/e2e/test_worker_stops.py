"""A worker that is told to stop while it sends: it is gone in time, and nothing it held waits for the reaper."""

import os
import signal
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
from tests.api.jobs.gate import Gate
from tests.api.serving import serving
from tests.business_clock import BUSINESS_ENVIRONMENT
from tests.sandbox import Sandbox, sandbox

__all__ = ["sandbox"]

KEY = "a key of the tests"
SECONDS = 60.0
TOLD_SECONDS, STOP_SECONDS = 6.0, 20.0
"""In what time the worker is told to stop, and in what time it has to be gone however busy the machine is."""
MAILS = 5

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240, func_only=True)]

Worker = subprocess.Popen[bytes]


class Outreach:
    """A workspace whose mails the provider accepts and does not answer, and the database they are in."""

    def __init__(self, client: httpx.Client, database_url: str, sandbox: Sandbox) -> None:
        self.database_url, self.sandbox, self.username = database_url, sandbox, sandbox.new_username()
        self._client = client
        workspace = {
            "name": "Outbound",
            "defaultFromName": "Ann",
            "defaultFromEmail": "ann@acme.example",
            "postalAddress": "1 Long Street, Cape Town",
            "windowStart": "00:00:00",
            "windowEnd": "23:59:59",
            "sendingWeekdays": [0, 1, 2, 3, 4, 5, 6],
            "holidaysCountry": None,
        }
        self._path = f"/api/workspaces/{self._made('/api/workspaces', workspace)['id']}"
        connection = {
            "transactionalUrl": f"{sandbox.url}/transactional/email/v1",
            "tenantUrl": f"{sandbox.url}/api/2.0",
            "username": self.username,
            "apiKey": f"sandbox-key-{self.username}",
        }
        client.put(f"{self._path}/everlytic-connection", json=connection).raise_for_status()
        held = {"name": "timeout_after_accept", "probability": 1.0}
        sandbox.tell("scenarios", username=self.username, scenarios=[held])
        self._enroll()

    def _made(self, path: str, body: dict[str, Any]) -> Any:
        response = self._client.post(path, json=body)
        assert response.is_success, response.text
        return response.json()

    def _enroll(self) -> None:
        sequence = self._made(f"{self._path}/sequences", {"name": "Spring", "autoApprove": True})["id"]
        step = {"subject": "One", "bodyTemplate": "Hello {{ first_name }}, how are you?"}
        self._made(f"{self._path}/sequences/{sequence}/steps", step)
        self._client.post(f"{self._path}/sequences/{sequence}/activate").raise_for_status()
        leads = [
            self._made(f"{self._path}/leads", {"email": f"p{one}@lead{one}.example", "firstName": "Thandi"})["id"]
            for one in range(MAILS)
        ]
        self._made(f"{self._path}/enrollments", {"sequenceId": sequence, "leadIds": leads})

    def accepted(self) -> int:
        """Return how many mails the provider has taken."""
        return len(self.sandbox.ask("mails", username=self.username))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(query.encode()).fetchall()

    def sends(self) -> list[tuple[Any, ...]]:
        """Return the sends, each with status, holder, and attempts that are left."""
        query = (
            "SELECT status, locked_by, max_attempts - attempts FROM app.scheduled_jobs WHERE job_type = 'send_email'"
        )
        return self.rows(query)


@pytest.fixture
def outreach(database_url: str, sandbox: Sandbox) -> Iterator[Outreach]:
    """A workspace with mails to be sent, over real HTTP."""
    with (
        serving(ApiSettings(secret_key=SecretStr(KEY), pool_size=5), database_url) as service,
        httpx.Client(base_url=service.url, headers=service.headers, timeout=SECONDS) as client,
    ):
        yield Outreach(client, database_url, sandbox)
    sandbox.forget()


@contextmanager
def worker(database_url: str, home: Path) -> Iterator[Worker]:
    """Run a worker in a process of its own; it is killed at the end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SALESMATTER_", "DATABASE_"))}
    told = {
        "DATABASE_URL": database_url,
        "SALESMATTER_HOME": str(home),
        "SALESMATTER_SECRET_KEY": KEY,
        "SALESMATTER_POLL_MILLISECONDS": "20",
        "SALESMATTER_STOP_WITHIN_SECONDS": str(TOLD_SECONDS),
    }
    command = [sys.executable, "-m", "salesmatter", "worker"]
    with (
        (home / "worker.log").open("ab") as log,
        subprocess.Popen(
            command,
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


def until(is_so: Callable[[], bool], process: Worker) -> None:
    """Poll until something is so; fails when the worker ends before."""
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert process.poll() is None, "the worker has ended"
        assert time.monotonic() < deadline, "not so in time"
        time.sleep(0.02)


def ends(process: Worker) -> None:
    """See the worker end, well and in its time."""
    assert process.wait(STOP_SECONDS) == 0


def test_unanswered_sends_are_given_back(outreach: Outreach, tmp_path: Path) -> None:
    """With a provider that holds every answer back, a worker told to stop ends well and in time, and holds nothing."""
    with worker(outreach.database_url, tmp_path) as process:
        until(lambda: outreach.accepted() == MAILS, process)
        process.send_signal(signal.SIGTERM)
        ends(process)
    sends = outreach.sends()
    assert len(sends) == MAILS
    assert {(status, holder) for status, holder, _ in sends} == {("pending", None)}
    assert all(left > 0 for *_, left in sends)
    assert outreach.rows("SELECT FROM app.job_workers") == []
    assert outreach.accepted() == MAILS


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_database_that_is_away_holds_nobody_up(outreach: Outreach, tmp_path: Path, comes_back: bool) -> None:
    """Cut off from the database the worker ends as well; if that comes back in time, nothing waits for the reaper."""
    gate = Gate()
    with gate.standing(), worker(gate.url(outreach.database_url), tmp_path) as process:
        until(lambda: outreach.accepted() == MAILS, process)
        gate.shut()
        process.send_signal(signal.SIGTERM)
        if comes_back:
            log = tmp_path / "worker.log"
            until(lambda: "cannot sign off" in log.read_text(), process)
            gate.url(outreach.database_url)
        ends(process)
    assert {status for status, *_ in outreach.sends()} == {"pending" if comes_back else "running"}
    assert (outreach.rows("SELECT FROM app.job_workers") == []) is comes_back


def test_a_database_that_falls_silent_holds_nobody_up(outreach: Outreach, tmp_path: Path) -> None:
    """A database that takes every question and answers none cannot keep the worker from ending in time."""
    gate = Gate()
    with gate.standing(), worker(gate.url(outreach.database_url), tmp_path) as process:
        until(lambda: outreach.accepted() == MAILS, process)
        gate.mute_on = b""
        process.send_signal(signal.SIGTERM)
        ends(process)

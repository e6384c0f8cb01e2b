"""End-to-end tests of a worker that gets SIGTERM while it sends: it stops in time and releases its jobs."""

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
from egress.settings import allow_loopback
from tests import ROOT
from tests.api.jobs.gate import Gate
from tests.api.serving import serving
from tests.business_clock import BUSINESS_ENVIRONMENT
from tests.sandbox import Sandbox, sandbox

__all__ = ["sandbox"]

KEY = "a key of the tests"
SECONDS = 60.0
STOP_SETTING_SECONDS, STOP_TIMEOUT_SECONDS = 6.0, 20.0
"""The worker's stop time, and the time after which the test fails on a busy machine."""
MAILS = 5

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240, func_only=True)]

Worker = subprocess.Popen[bytes]


class Outreach:
    """A workspace whose mails the provider accepts without responding, and its database."""

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
        self._path = f"/api/workspaces/{self._post('/api/workspaces', workspace)['id']}"
        connection = {
            "transactionalUrl": f"{sandbox.url}/transactional/email/v1",
            "tenantUrl": f"{sandbox.url}/api/2.0",
            "username": self.username,
            "apiKey": f"sandbox-key-{self.username}",
        }
        client.put(f"{self._path}/everlytic-connection", json=connection).raise_for_status()
        scenario = {"name": "timeout_after_accept", "probability": 1.0}
        sandbox.tell("scenarios", username=self.username, scenarios=[scenario])
        self._enroll()

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        response = self._client.post(path, json=body)
        assert response.is_success, response.text
        return response.json()

    def _enroll(self) -> None:
        sequence = self._post(f"{self._path}/sequences", {"name": "Spring", "autoApprove": True})["id"]
        step = {"subject": "One", "bodyTemplate": "Hello {{ first_name }}, how are you?"}
        self._post(f"{self._path}/sequences/{sequence}/steps", step)
        self._client.post(f"{self._path}/sequences/{sequence}/activate").raise_for_status()
        leads = [
            self._post(f"{self._path}/leads", {"email": f"p{number}@lead{number}.example", "firstName": "Thandi"})["id"]
            for number in range(MAILS)
        ]
        self._post(f"{self._path}/enrollments", {"sequenceId": sequence, "leadIds": leads})

    def count_accepted(self) -> int:
        """Return how many mails the provider has accepted."""
        return len(self.sandbox.ask("mails", username=self.username))

    def fetch(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(query.encode()).fetchall()

    def sends(self) -> list[tuple[Any, ...]]:
        """Return the send jobs, each with its status, its worker and its remaining attempts."""
        query = (
            "SELECT status, locked_by, max_attempts - attempts FROM app.scheduled_jobs WHERE job_type = 'send_email'"
        )
        return self.fetch(query)


@pytest.fixture
def outreach(database_url: str, sandbox: Sandbox) -> Iterator[Outreach]:
    """A workspace with mails to send, used over real HTTP."""
    with (
        serving(ApiSettings(secret_key=SecretStr(KEY), pool_size=5), database_url) as service,
        httpx.Client(base_url=service.url, headers=service.headers, timeout=SECONDS) as client,
    ):
        yield Outreach(client, database_url, sandbox)
    sandbox.forget()


@contextmanager
def worker(database_url: str, home: Path) -> Iterator[Worker]:
    """Run a worker in a separate process, which is killed after the block."""
    inherited = {n: value for n, value in os.environ.items() if not n.startswith(("SALESMATTER_", "DATABASE_"))}
    settings = {
        "DATABASE_URL": database_url,
        "SALESMATTER_HOME": str(home),
        "SALESMATTER_SECRET_KEY": KEY,
        "SALESMATTER_POLL_MILLISECONDS": "20",
        "SALESMATTER_STOP_WITHIN_SECONDS": str(STOP_SETTING_SECONDS),
    }
    command = [sys.executable, "-m", "salesmatter", "worker"]
    with (
        (home / "worker.log").open("ab") as log,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=inherited | BUSINESS_ENVIRONMENT | allow_loopback() | settings,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def wait_until(condition: Callable[[], bool], process: Worker) -> None:
    """Poll until the condition is true; fail if the worker ends first."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert process.poll() is None, "the worker has ended"
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.02)


def assert_stops(process: Worker) -> None:
    """Assert that the worker stops in time with exit status 0."""
    assert process.wait(STOP_TIMEOUT_SECONDS) == 0


def test_a_stopping_worker_releases_its_sends(outreach: Outreach, tmp_path: Path) -> None:
    """If the provider does not respond, a stopped worker exits in time and has no locked job left."""
    with worker(outreach.database_url, tmp_path) as process:
        wait_until(lambda: outreach.count_accepted() == MAILS, process)
        process.send_signal(signal.SIGTERM)
        assert_stops(process)
    sends = outreach.sends()
    assert len(sends) == MAILS
    assert {(status, worker_id) for status, worker_id, _ in sends} == {("pending", None)}
    assert all(remaining > 0 for *_, remaining in sends)
    assert outreach.fetch("SELECT FROM app.job_workers") == []
    assert outreach.count_accepted() == MAILS


@pytest.mark.parametrize("comes_back", [True, False])
def test_an_unreachable_database_does_not_delay_the_stop(outreach: Outreach, tmp_path: Path, comes_back: bool) -> None:
    """Without the database the worker still stops in time; if the database comes back, the worker releases its jobs."""
    gate = Gate()
    with gate.standing(), worker(gate.url(outreach.database_url), tmp_path) as process:
        wait_until(lambda: outreach.count_accepted() == MAILS, process)
        gate.shut()
        process.send_signal(signal.SIGTERM)
        if comes_back:
            log = tmp_path / "worker.log"
            wait_until(lambda: "cannot be retired" in log.read_text(), process)
            gate.url(outreach.database_url)
        assert_stops(process)
    assert {status for status, *_ in outreach.sends()} == {"pending" if comes_back else "running"}
    assert (outreach.fetch("SELECT FROM app.job_workers") == []) is comes_back


def test_an_unresponsive_database_does_not_delay_the_stop(outreach: Outreach, tmp_path: Path) -> None:
    """If the database accepts queries and does not answer, the worker still stops in time."""
    gate = Gate()
    with gate.standing(), worker(gate.url(outreach.database_url), tmp_path) as process:
        wait_until(lambda: outreach.count_accepted() == MAILS, process)
        gate.mute_on = b""
        process.send_signal(signal.SIGTERM)
        assert_stops(process)

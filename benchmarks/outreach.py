"""The test bed of sending: an API and a provider process, workspaces, and emails that are ready to send."""

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import httpx

from benchmarks.errors import BenchmarkError
from benchmarks.servers import ISOLATED_ENVIRONMENT, READY_SECONDS, is_ready
from database.roles import connect
from salesmatter import accounts, checkout
from salesmatter.ports import find_free_port
from salesmatter.processes import Processes, Program
from salesmatter.stack import Database

UNRESTRICTED_SETTINGS = {
    "name": "Bench",
    "defaultFromName": "Ann",
    "defaultFromEmail": "ann@bench.example",
    "postalAddress": "1 Long Street, Cape Town",
    "windowStart": "00:00:00",
    "windowEnd": "23:59:59",
    "sendingWeekdays": [0, 1, 2, 3, 4, 5, 6],
    "holidaysCountry": None,
    "maxBounceRate": None,
    "maxComplaintRate": None,
    "maxDailyComplaints": None,
}
"""Settings of a workspace that may send at any time, whatever bounces and complaints it gets."""
STEP = {"subject": "Hello", "bodyTemplate": "<p>Hello {{ first_name }},</p><p>how are <b>you</b>?</p>"}
TIMEOUT_SECONDS = 60.0

# Every lead has its own domain. Drafts of the steps before the due one are already sent.
_ADD_LEADS = """
WITH person AS MATERIALIZED (
  INSERT INTO app.leads (workspace_id, first_name, email)
  SELECT %(workspace)s, 'Thandi', 'p' || n || '@' || %(prefix)s || n || '.example'
    FROM generate_series(1, %(number)s) AS n
  RETURNING id, email
),
enrolled AS (
  INSERT INTO app.lead_enrollments
    (workspace_id, lead_id, sequence_id, current_step_order, next_run_at, enrolled_at)
  SELECT %(workspace)s, person.id, %(sequence)s, step.step_order, %(due)s, %(due)s
    FROM person, app.sequence_steps AS step WHERE step.id = %(step)s
  RETURNING lead_enrollments.id, lead_id
),
drafted AS (
  INSERT INTO app.email_drafts (workspace_id, lead_id, enrollment_id, sequence_id, step_id, step_order,
                                subject, body, body_html, status, send_at, sent_at)
  SELECT %(workspace)s, enrolled.lead_id, enrolled.id, %(sequence)s, step.id, step.step_order, 'Hello',
         E'Hello Thandi,\n\nhow are you?', '<p>Hello Thandi,</p><p>how are <b>you</b>?</p>',
         CASE WHEN step.id = %(step)s THEN 'reviewed' ELSE 'sent' END, %(due)s,
         CASE WHEN step.id = %(step)s THEN NULL ELSE %(due)s - interval '1 hour' END
    FROM enrolled, app.sequence_steps AS step
   WHERE step.sequence_id = %(sequence)s
     AND step.step_order <= (SELECT step_order FROM app.sequence_steps WHERE id = %(step)s)
  RETURNING email_drafts.id, enrollment_id, lead_id, status
),
queued AS (
  INSERT INTO app.scheduled_jobs (workspace_id, job_type, payload, scheduled_for, run_at)
  SELECT %(workspace)s, 'send_email', jsonb_build_object('draftId', id), due, due
    FROM (SELECT id, %(due)s + %(apart)s * (row_number() OVER (ORDER BY id) - 1) AS due
            FROM drafted WHERE status = 'reviewed') AS mail
)
SELECT drafted.id, enrollment_id, lead_id, email
  FROM drafted JOIN person ON person.id = lead_id WHERE drafted.status = 'reviewed'
"""


class ReadyEmail(NamedTuple):
    """A reviewed draft with a send job, and its enrollment and lead."""

    draft: UUID
    enrollment: UUID
    lead: UUID
    email: str


@dataclass(frozen=True, slots=True)
class SequenceSteps:
    """The id of an active sequence, and the ids of its steps in order."""

    sequence: str
    ids: Sequence[str]


class Outreach:
    """A workspace, used over HTTP; bulk data is inserted directly into its tables."""

    def __init__(self, api: httpx.Client, database: Database, settings: Mapping[str, object]) -> None:
        self.api, self._database = api, database
        self.id: str = self._parse(api.post("/api/workspaces", json={**UNRESTRICTED_SETTINGS, **settings}))["id"]
        self.base = f"/api/workspaces/{self.id}"
        self.username = f"bench-{self.id}"
        self._batches = 0

    @property
    def uuid(self) -> UUID:
        """The workspace id as a UUID."""
        return UUID(self.id)

    def connect(self, url: str) -> dict[str, Any]:
        """Connect the workspace to a provider with Everlytic's API at `url`; returns the API's response."""
        body = {
            "transactionalUrl": f"{url}/transactional/email/v1",
            "tenantUrl": f"{url}/api/2.0",
            "username": self.username,
            "apiKey": f"sandbox-key-{self.username}",
        }
        connected: dict[str, Any] = self._parse(self.api.put(f"{self.base}/everlytic-connection", json=body))
        return connected

    def write_sequence(self, steps: int, days: Sequence[int] = ()) -> SequenceSteps:
        """Create and activate a sequence with automatic approval; `days` are the delays of its steps, 0 by default."""
        body = {"name": "Bench", "autoApprove": True}
        sequence: str = self._parse(self.api.post(f"{self.base}/sequences", json=body))["id"]
        path = f"{self.base}/sequences/{sequence}"
        delays = [{"delayDays": days[step] if days else 0} for step in range(steps)]
        step_ids = [self._parse(self.api.post(f"{path}/steps", json={**STEP, **delay}))["id"] for delay in delays]
        self._parse(self.api.post(f"{path}/activate"))
        return SequenceSteps(sequence, step_ids)

    def add_leads(
        self, number: int, steps: SequenceSteps, step: int, due: datetime, apart: timedelta = timedelta(0)
    ) -> list[ReadyEmail]:
        """Add `number` leads with a reviewed draft of a step (from 0), due at `due` and then in intervals of `apart`.

        The drafts of the earlier steps are already sent.
        """
        self._batches += 1
        values = {
            "workspace": self.id,
            "prefix": f"x{self._batches}n",
            "number": number,
            "sequence": steps.sequence,
            "step": steps.ids[step],
            "due": due,
            "apart": apart,
        }
        with connect(self._database.direct) as connection:
            return [ReadyEmail(*row) for row in connection.execute(_ADD_LEADS, values).fetchall()]

    @staticmethod
    def _parse(response: httpx.Response) -> Any:
        if not response.is_success:
            raise BenchmarkError(f"{response.request.url.path} returned {response.status_code}: {response.text[:300]}")
        return response.json()


@dataclass(frozen=True, slots=True)
class Testbed:
    """A running API and the provider at the URL `provider`; `processes` also runs workers that are started later."""

    database: Database
    processes: Processes
    environment: Mapping[str, str]
    provider: str
    api: httpx.Client

    def start_worker(self, name: str = "worker", **variables: str) -> None:
        """Start a worker with additional environment variables, and wait until it is registered; raises StartError."""
        known = self._find_workers()
        self.processes.start(self.program(name, ["-m", "salesmatter", "worker"], **variables))
        self.processes.wait_for(name, lambda: bool(self._find_workers() - known), READY_SECONDS)

    def program(self, name: str, module: Sequence[str], **variables: str) -> Program:
        """Return a Python program in the environment of the service; its output goes to a log file."""
        return _program(name, module, {**self.environment, **variables})

    def _find_workers(self) -> set[UUID]:
        with connect(self.database.direct) as connection:
            return {worker_id for (worker_id,) in connection.execute("SELECT id FROM app.job_workers").fetchall()}

    def create_outreach(self, **settings: object) -> Outreach:
        """Create a workspace that may send at any time, with additional settings."""
        return Outreach(self.api, self.database, settings)


def ignore_line(_name: str, _line: str) -> None:
    """Ignore a line of a process's output."""


@contextmanager
def start_testbed(
    database: Database,
    provider: Sequence[str],
    *,
    ready_path: str = "/__sandbox__/state",
    **variables: str,
) -> Iterator[Testbed]:
    """Run the API on a migrated database, and a module with the option `--port` as its provider; raises StartError."""
    api_port, provider_port = find_free_port(), find_free_port()
    url, provider_url = f"http://127.0.0.1:{api_port}", f"http://127.0.0.1:{provider_port}"
    environment = {
        **ISOLATED_ENVIRONMENT,
        **database.to_environment(),
        "SALESMATTER_PUBLIC_URL": url,
        "SALESMATTER_RATE_LIMIT": "off",
        **variables,
    }
    with Processes(ignore_line) as processes:
        processes.start(_program("provider", ["-m", *provider, "--port", str(provider_port)], environment))
        processes.start(_program("api", ["-m", "salesmatter", "api", "--port", str(api_port)], environment))
        account = asyncio.run(
            accounts.create_account(database, name="Bench", email="ann@bench.example", user_name="Ann")
        )
        processes.wait_for("provider", lambda: is_ready(provider_url + ready_path), READY_SECONDS)
        processes.wait_for("api", lambda: is_ready(f"{url}/health/ready"), READY_SECONDS)
        headers = {"Authorization": f"Bearer {account.api_key}"}
        with httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False) as api:
            yield Testbed(database, processes, environment, provider_url, api)
            processes.require_running()


_INTO_FILE = 'exec "$@" >"$0" 2>&1'


def _program(name: str, module: Sequence[str], environment: Mapping[str, str]) -> Program:
    logs = checkout.ensure_state_dir() / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    log = Path(logs, f"bench-{name}.log")
    command = ["/bin/sh", "-c", _INTO_FILE, str(log), sys.executable, *module]
    return Program(name, command, environment, checkout.find_root())

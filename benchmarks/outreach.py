"""Workspaces that send, to be measured: the service and who takes its mails in processes of their own, mails put in."""

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import httpx

from benchmarks.errors import BenchFailed
from benchmarks.servers import NOBODY_ELSE, READY_SECONDS, answers
from database.roles import connect
from salesmatter import accounts, checkout
from salesmatter.ports import free_port
from salesmatter.processes import Processes, Program
from salesmatter.stack import Database

ANY_HOUR = {
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
}
"""A workspace that may send at any time, whatever becomes of its mails."""
STEP = {"subject": "Hello", "bodyTemplate": "<p>Hello {{ first_name }},</p><p>how are <b>you</b>?</p>"}
SECONDS = 60.0

# Every lead has a domain of its own. `earlier` counts the steps that they had before the one that is due.
_PUT = """
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


class Mail(NamedTuple):
    """A reviewed draft with a job that sends it, and whose it is."""

    draft: UUID
    enrollment: UUID
    lead: UUID
    email: str


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of an active sequence, in order, by id."""

    sequence: str
    ids: Sequence[str]


class Outreach:
    """One workspace, spoken to over HTTP; what no person would do by hand goes straight into its tables."""

    def __init__(self, api: httpx.Client, database: Database, settings: Mapping[str, object]) -> None:
        self.api, self._database = api, database
        self.id: str = self._made(api.post("/api/workspaces", json={**ANY_HOUR, **settings}))["id"]
        self.base = f"/api/workspaces/{self.id}"
        self.username = f"bench-{self.id}"
        self._puts = 0

    @property
    def uuid(self) -> UUID:
        """Its id, as more than text."""
        return UUID(self.id)

    def connect(self, url: str) -> dict[str, Any]:
        """Connect it to who speaks Everlytic's wire at `url`; returns the connection as it was answered."""
        body = {
            "transactionalUrl": f"{url}/transactional/email/v1",
            "tenantUrl": f"{url}/api/2.0",
            "username": self.username,
            "apiKey": f"sandbox-key-{self.username}",
        }
        connected: dict[str, Any] = self._made(self.api.put(f"{self.base}/everlytic-connection", json=body))
        return connected

    def write_sequence(self, steps: int, days: Sequence[int] = ()) -> Steps:
        """Make an active sequence without review, whose steps follow each other after so many days, else at once."""
        body = {"name": "Bench", "autoApprove": True}
        sequence: str = self._made(self.api.post(f"{self.base}/sequences", json=body))["id"]
        place = f"{self.base}/sequences/{sequence}"
        delays = [{"delayDays": days[step] if days else 0} for step in range(steps)]
        made = [self._made(self.api.post(f"{place}/steps", json={**STEP, **delay}))["id"] for delay in delays]
        self._made(self.api.post(f"{place}/activate"))
        return Steps(sequence, made)

    def put(self, number: int, steps: Steps, step: int, due: datetime, apart: timedelta = timedelta(0)) -> list[Mail]:
        """Put so many new leads before a step of a sequence (from 0), reviewed and due from a time on, so far apart.

        What the steps before it mailed was sent.
        """
        self._puts += 1
        values = {
            "workspace": self.id,
            "prefix": f"x{self._puts}n",
            "number": number,
            "sequence": steps.sequence,
            "step": steps.ids[step],
            "due": due,
            "apart": apart,
        }
        with connect(self._database.direct) as connection:
            return [Mail(*row) for row in connection.execute(_PUT, values).fetchall()]

    @staticmethod
    def _made(response: httpx.Response) -> Any:
        if not response.is_success:
            raise BenchFailed(f"{response.request.url.path} was answered {response.status_code}: {response.text[:300]}")
        return response.json()


@dataclass(frozen=True, slots=True)
class Stage:
    """A running service, and who takes its mails at `provider`; `processes` also runs what is started later."""

    database: Database
    processes: Processes
    environment: Mapping[str, str]
    provider: str
    api: httpx.Client

    def start_worker(self, name: str = "worker", **told: str) -> None:
        """Start a worker as it ships, told so much more, and wait until it works; raises StartError."""
        known = self._workers()
        self.processes.start(self.program(name, ["-m", "salesmatter", "worker"], **told))
        self.processes.wait_for(name, lambda: bool(self._workers() - known), READY_SECONDS)

    def program(self, name: str, module: Sequence[str], **told: str) -> Program:
        """Return a Python program in the service's environment, whose words go to a file."""
        return _program(name, module, {**self.environment, **told})

    def _workers(self) -> set[UUID]:
        with connect(self.database.direct) as connection:
            return {one for (one,) in connection.execute("SELECT id FROM app.job_workers").fetchall()}

    def outreach(self, **settings: object) -> Outreach:
        """Make a workspace that may send at any time, with settings of its own."""
        return Outreach(self.api, self.database, settings)


def ignore(_name: str, _line: str) -> None:
    """Hear nothing of what processes write."""


@contextmanager
def staged(
    database: Database,
    provider: Sequence[str],
    *,
    ready: str = "/__sandbox__/state",
    hear: Callable[[str, str], None] = ignore,
    **told: str,
) -> Iterator[Stage]:
    """Run the API on a migrated database, and a module that takes `--port` as its provider; raises StartError."""
    api_port, provider_port = free_port(), free_port()
    url, at = f"http://127.0.0.1:{api_port}", f"http://127.0.0.1:{provider_port}"
    environment = {
        **NOBODY_ELSE,
        **database.environment(),
        "SALESMATTER_PUBLIC_URL": url,
        "SALESMATTER_RATE_LIMIT": "off",
        **told,
    }
    with Processes(hear) as processes:
        processes.start(_program("provider", ["-m", *provider, "--port", str(provider_port)], environment))
        processes.start(_program("api", ["-m", "salesmatter", "api", "--port", str(api_port)], environment))
        account = asyncio.run(accounts.create(database, name="Bench", email="ann@bench.example", user_name="Ann"))
        processes.wait_for("provider", lambda: answers(at + ready), READY_SECONDS)
        processes.wait_for("api", lambda: answers(f"{url}/health/ready"), READY_SECONDS)
        headers = {"Authorization": f"Bearer {account.api_key}"}
        with httpx.Client(base_url=url, headers=headers, timeout=SECONDS, trust_env=False) as api:
            yield Stage(database, processes, environment, at, api)
            processes.check()


_INTO_FILE = 'exec "$@" >"$0" 2>&1'


def _program(name: str, module: Sequence[str], environment: Mapping[str, str]) -> Program:
    logs = checkout.state() / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    log = Path(logs, f"bench-{name}.log")
    command = ["/bin/sh", "-c", _INTO_FILE, str(log), sys.executable, *module]
    return Program(name, command, environment, checkout.root())

"""Measures the webhook intake beside a batched insert, and how fast a worker applies the events.

A separate process posts webhooks to `salesmatter api`. The baseline, which alternates with it, inserts the same bodies
into the same table from one connection, in committed batches of the size that the intake used. Both begin with an empty
table, and the stored rows are compared with the responses.
"""

import asyncio
import base64
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from benchmarks.bare_driver import connect_in_workspace
from benchmarks.databases import fresh_database
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure
from benchmarks.outreach import Outreach, Testbed, start_testbed
from benchmarks.progress import Progress
from benchmarks.sizes import Size
from database.roles import APP_ROLE, connect, libpq_url, role_url
from database.secrets import SecretBox
from salesmatter import checkout
from salesmatter.stack import Database, open_database

SHAPES = (1, 10, 100)
"""The numbers of records per call."""
PER_SECOND, SHARE_OF_BARE = 5_000, 0.5
CONNECTIONS = 256
MAX_BODIES = 500
"""The number of different bodies, which are sent in rotation."""
WARM_UP_SECONDS = 0.5
POLL_SECONDS, TIMEOUT_SECONDS = 0.1, 300.0
JOB_TYPE = "apply_provider_events"
EVENT_TYPES = ("sent", "delivered", "open", "click", "open")
AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"

# Sent and accepted emails, each to another lead.
_ADD_SENT_EMAILS = """
WITH person AS (
  INSERT INTO app.leads (workspace_id, first_name, email, status)
  SELECT %(workspace)s, 'Thandi', 'p' || n || '@bench' || n || '.example', 'Contacted'
    FROM generate_series(1, %(number)s) AS n
  RETURNING id, email
),
enrolled AS (
  INSERT INTO app.lead_enrollments (workspace_id, lead_id, sequence_id, current_step_order, enrolled_at)
  SELECT %(workspace)s, id, %(sequence)s, 1, now() FROM person RETURNING id, lead_id
),
drafted AS (
  INSERT INTO app.email_drafts (workspace_id, lead_id, enrollment_id, sequence_id, step_id, step_order, subject, status,
                                sent_at)
  SELECT %(workspace)s, lead_id, id, %(sequence)s, %(step)s, 1, 'Hello', 'sent', now() FROM enrolled
  RETURNING id, lead_id
),
accepted AS (
  INSERT INTO app.send_attempts (workspace_id, draft_id, claimed_at, outcome, everlytic_transaction_id, recorded_at)
  SELECT %(workspace)s, id, now(), 'accepted', id::text, now() FROM drafted
)
SELECT drafted.id, person.email FROM drafted JOIN person ON person.id = lead_id
"""
_INSERT = """
INSERT INTO everlytic.webhook_deliveries (workspace_id, content_type, body, received_at)
SELECT %s, 'application/json', body, now() FROM unnest(%b::bytea[]) AS body
"""
_EMPTY = ("TRUNCATE everlytic.webhook_deliveries", "DELETE FROM app.scheduled_jobs")
_COUNT_STORED = "SELECT count(*), count(DISTINCT xmin::text) FROM everlytic.webhook_deliveries"
_COUNT_PENDING = "SELECT count(*) FROM app.scheduled_jobs WHERE job_type = %s AND status = 'pending'"
_ENQUEUE = """
INSERT INTO app.scheduled_jobs (workspace_id, job_type, scheduled_for, run_at) VALUES (%s, %s, now(), now())
RETURNING id
"""
_APPLIED = """
SELECT status, extract(epoch FROM completed_at - started_at)::float, (SELECT count(*) FROM app.email_events)
  FROM app.scheduled_jobs WHERE id = %s
"""


@dataclass(frozen=True, slots=True)
class Volume:
    """The number of emails, and how often and how long each shape is measured."""

    emails: int
    repetitions: int
    seconds: float


VOLUMES: dict[Size, Volume] = {"small": Volume(1_000, 1, 0.5), "full": Volume(20_000, 5, 4.0)}


@dataclass(frozen=True, slots=True)
class Intake:
    """The webhook of a workspace, and the records to post, in the order of their occurrence."""

    stage: Testbed
    id: UUID
    path: str
    port: int
    password: str
    records: Sequence[dict[str, Any]]

    def bodies(self, records: int) -> Iterator[bytes]:
        """Yield the bodies of calls with `records` records each."""
        for batch in (self.records[start : start + records] for start in range(0, len(self.records), records)):
            first = batch[0]
            payload = {"id": first["id"], "type": first["type"], "timestamp": first["timestamp"], "data": batch}
            yield json.dumps(payload).encode()

    def build_request(self, body: bytes) -> bytes:
        """Return the HTTP request of a call."""
        credentials = base64.b64encode(f"everlytic:{self.password}".encode()).decode()
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Basic {credentials}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def fetch_row(self, statement: str, *parameters: object) -> tuple[Any, ...]:
        """Return the first row of a statement of the owner."""
        with connect(self.stage.database.direct) as connection:
            return connection.execute(statement, list(parameters)).fetchone() or ()

    def delete_deliveries(self) -> None:
        """Delete the stored webhooks and their jobs."""
        with connect(self.stage.database.direct) as connection:
            for statement in _EMPTY:
                connection.execute(statement)


def measure(size: Size, progress: Progress) -> Sequence[Figure]:
    """Measure on a temporary database; raises StartError, and BenchmarkError for a refused call."""
    with open_database() as server:
        return measure_intake(server, VOLUMES[size], progress)


def measure_intake(server: Database, volume: Volume, progress: Progress) -> list[Figure]:
    """Measure with a volume on a temporary database of `server`; raises the errors of `measure`."""
    with (
        fresh_database(server) as database,
        start_testbed(database, ["benchmarks.recording_provider"], ready_path="/calls") as testbed,
    ):
        intake = _create_intake(testbed, volume.emails)
        _post_webhooks(intake, list(itertools.islice(intake.bodies(1), MAX_BODIES)), WARM_UP_SECONDS)
        figures: list[Figure] = []
        for records in SHAPES:
            progress(f"Posting {records} records per call.")
            figures += _measure_shape(intake, records, volume)
        progress(f"Applying {len(intake.records):,} events.")
        return [*figures, _measure_applying(intake)]


def _create_intake(testbed: Testbed, emails: int) -> Intake:
    outreach = Outreach(testbed.api, testbed.database, {})
    url = urlsplit(outreach.connect(testbed.provider)["webhookUrl"])
    sequence = outreach.write_sequence(1)
    values = {"workspace": outreach.id, "sequence": sequence.sequence, "step": sequence.ids[0], "number": emails}
    with connect(testbed.database.direct) as connection:
        drafts = connection.execute(_ADD_SENT_EMAILS, values).fetchall()
        row = connection.execute("SELECT encrypted_webhook_password FROM app.everlytic_connections").fetchone()
    if row is None or url.port is None:
        raise BenchmarkError("The workspace has no webhook.")
    password = SecretBox(checkout.load_secret_key()).decrypt(row[0])
    return Intake(testbed, outreach.uuid, url.path, url.port, password, _make_records(drafts))


def _make_records(drafts: Sequence[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Return the records of all events of the emails, in the format of Everlytic's webhooks."""
    numbers, start = itertools.count(), datetime(2026, 3, 2, 9, tzinfo=UTC)
    return [
        {
            "id": f"event-{next(numbers)}",
            "type": event_type,
            "timestamp": (start + timedelta(seconds=number // 50 + 90 * position)).isoformat(),
            "transaction": {
                "id": str(draft_id),
                "message_id": str(draft_id),
                "method": "rest",
                "group": {"id": "g-1", "name": "Bench"},
                "sent_timestamp": start.isoformat(),
                "subject": "Hello",
                "message_size_bytes": 2048,
            },
            "recipient": {"name": "Thandi", "email": email},
            **({"user_agent": AGENT, "ip": f"102.65.{number % 250}.7"} if event_type in {"open", "click"} else {}),
            **({"link_url": "https://bench.example/offer"} if event_type == "click" else {}),
        }
        for number, (draft_id, email) in enumerate(drafts)
        for position, event_type in enumerate(EVENT_TYPES)
    ]


def _measure_shape(intake: Intake, records: int, volume: Volume) -> list[Figure]:
    """Return how many events per second are stored, and how many calls were answered and not stored."""
    bodies = list(itertools.islice(intake.bodies(records), MAX_BODIES))
    intake_rates, insert_rates, lost, batch_size = [], [], 0, 0.0
    for _ in range(volume.repetitions):
        intake.delete_deliveries()
        calls, seconds = _post_webhooks(intake, bodies, volume.seconds)
        rows, batches = intake.fetch_row(_COUNT_STORED)
        lost += calls - rows
        if not intake.fetch_row(_COUNT_PENDING, JOB_TYPE)[0]:
            raise BenchmarkError("No job was enqueued for the stored webhooks.")
        intake_rates.append(calls * records / seconds)
        intake.delete_deliveries()
        batch_size = rows / batches
        insert_rates.append(asyncio.run(_measure_inserts(intake, bodies, round(batch_size), volume.seconds)) * records)
    label = f"{records} record{'s' if records > 1 else ''} a call"
    return [
        Figure(f"intake, {label}", median(intake_rates), "events/s", at_least=PER_SECOND),
        Figure(
            f"intake, {label}, beside a bare insert",
            median(intake_rates),
            "events/s",
            median(insert_rates),
            at_least=SHARE_OF_BARE,
        ),
        Figure(f"intake, {label}: calls stored together", batch_size, ""),
        Figure(f"intake, {label}: calls answered and not stored", lost, "", at_most=0),
    ]


def _post_webhooks(intake: Intake, bodies: Sequence[bytes], seconds: float) -> tuple[int, float]:
    """Post webhooks, and return the number of responses and the seconds."""
    requests = [base64.b64encode(intake.build_request(body)).decode() for body in bodies]
    config = {"port": intake.port, "connections": CONNECTIONS, "seconds": seconds, "requests": requests}
    command = [sys.executable, "-m", "benchmarks.webhook_caller"]
    standard_input = json.dumps(config)
    root = checkout.find_root()
    result = subprocess.run(command, input=standard_input, capture_output=True, text=True, cwd=root, check=False)  # noqa: S603 - our own module
    if result.returncode:
        raise BenchmarkError(f"The intake did not respond: {result.stderr[-500:]}")
    output = json.loads(result.stdout)
    return output["calls"], output["seconds"]


async def _measure_inserts(intake: Intake, bodies: Sequence[bytes], batch: int, seconds: float) -> float:
    """Return how many bodies per second one connection inserts in batches."""
    rotation = itertools.cycle(bodies)
    url = libpq_url(role_url(intake.stage.database.owner, APP_ROLE))
    async with connect_in_workspace(url, intake.id) as connection:
        started, done = time.monotonic(), 0
        while time.monotonic() < started + seconds:
            await connection.execute(_INSERT, [intake.id, list(itertools.islice(rotation, batch))])
            done += batch
        return done / (time.monotonic() - started)


def _measure_applying(intake: Intake) -> Figure:
    """Return how many events per second one worker applies from stored calls with ten records each."""
    intake.delete_deliveries()
    bodies = list(intake.bodies(10))
    with connect(intake.stage.database.direct) as connection:
        connection.execute(_INSERT, [intake.id, bodies])
        connection.execute("VACUUM ANALYZE")
        (job,) = connection.execute(_ENQUEUE, [intake.id, JOB_TYPE]).fetchone() or (None,)
    intake.stage.start_worker()
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        status, seconds, events = intake.fetch_row(_APPLIED, job)
        if status == "completed":
            break
        if time.monotonic() > deadline or status == "failed":
            raise BenchmarkError(f"The job is {status} after {events:,} of {len(intake.records):,} events.")
        time.sleep(POLL_SECONDS)
    if events != len(intake.records):
        raise BenchmarkError(f"{events:,} of {len(intake.records):,} events were applied.")
    return Figure("events applied by one worker", events / seconds, "events/s")

"""What pushed events cost: taken in over HTTP and stored, beside a bare batched insert, and applied by one worker.

Everlytic's calls come from a process of its own to the API as `salesmatter api` runs it. In turn with it the same
bodies go into the same table from one connection that does nothing else, in batches of the size that the intake has
just made, each committed. Both begin with an empty table, and what was answered is counted in it.
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

from benchmarks.bare_driver import bare_connection
from benchmarks.databases import fresh_database
from benchmarks.errors import BenchFailed
from benchmarks.figures import Figure
from benchmarks.outreach import Outreach, Stage, staged
from benchmarks.registry import Say, Size
from database.roles import APP_ROLE, connect, libpq_url, role_url
from database.secrets import SecretBox
from salesmatter import checkout
from salesmatter.stack import Database, open_database

SHAPES = (1, 10, 100)
"""How many records a call carries."""
PER_SECOND, SHARE_OF_BARE = 5_000, 0.5
CONNECTIONS = 256
MOST_BODIES = 500
"""Different ones; then they come again."""
WARM_SECONDS = 0.5
LOOK_SECONDS, LONGEST_SECONDS = 0.1, 300.0
JOB_TYPE = "apply_provider_events"
STORY = ("sent", "delivered", "open", "click", "open")
AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"

# Mails that were sent and accepted, each to a lead of its own.
_SENT = """
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
_TAKEN = "SELECT count(*), count(DISTINCT xmin::text) FROM everlytic.webhook_deliveries"
_WAITING = "SELECT count(*) FROM app.scheduled_jobs WHERE job_type = %s AND status = 'pending'"
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
    """How many mails the events are about, and how often and how long each shape is measured."""

    mails: int
    turns: int
    seconds: float


VOLUMES: dict[Size, Volume] = {"small": Volume(1_000, 1, 0.5), "full": Volume(20_000, 5, 4.0)}


@dataclass(frozen=True, slots=True)
class Intake:
    """A workspace that is pushed to, and all that is pushed: records in the order in which they happened."""

    stage: Stage
    id: UUID
    path: str
    port: int
    password: str
    records: Sequence[dict[str, Any]]

    def bodies(self, records: int) -> Iterator[bytes]:
        """Yield the bodies of calls with so many records each."""
        for some in (self.records[start : start + records] for start in range(0, len(self.records), records)):
            first = some[0]
            payload = {"id": first["id"], "type": first["type"], "timestamp": first["timestamp"], "data": some}
            yield json.dumps(payload).encode()

    def request(self, body: bytes) -> bytes:
        """Return a call as it goes over the wire."""
        credentials = base64.b64encode(f"everlytic:{self.password}".encode()).decode()
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Basic {credentials}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def ask(self, statement: str, *parameters: object) -> tuple[Any, ...]:
        """Return the first row of a statement, as the owner."""
        with connect(self.stage.database.direct) as connection:
            return connection.execute(statement, list(parameters)).fetchone() or ()

    def empty(self) -> None:
        """Forget what was pushed."""
        with connect(self.stage.database.direct) as connection:
            for statement in _EMPTY:
                connection.execute(statement)


def measure(size: Size, say: Say) -> Sequence[Figure]:
    """Measure on a database that is made for it; raises StartError, and BenchFailed for a call that is refused."""
    with open_database() as server:
        return measured(server, VOLUMES[size], say)


def measured(server: Database, volume: Volume, say: Say) -> list[Figure]:
    """Measure so much on a database beside that of `server`; raises as `measure` does."""
    with (
        fresh_database(server) as database,
        staged(database, ["benchmarks.bare_receiver"], ready="/calls") as stage,
    ):
        intake = _prepared(stage, volume.mails)
        _call(intake, list(itertools.islice(intake.bodies(1), MOST_BODIES)), WARM_SECONDS)
        figures: list[Figure] = []
        for records in SHAPES:
            say(f"Pushing {records} records a call.")
            figures += _taken(intake, records, volume)
        say(f"Applying {len(intake.records):,} events.")
        return [*figures, _applied(intake)]


def _prepared(stage: Stage, mails: int) -> Intake:
    outreach = Outreach(stage.api, stage.database, {})
    url = urlsplit(outreach.connect(stage.provider)["webhookUrl"])
    sequence = outreach.write_sequence(1)
    values = {"workspace": outreach.id, "sequence": sequence.sequence, "step": sequence.ids[0], "number": mails}
    with connect(stage.database.direct) as connection:
        sent = connection.execute(_SENT, values).fetchall()
        row = connection.execute("SELECT encrypted_webhook_password FROM app.everlytic_connections").fetchone()
    if row is None or url.port is None:
        raise BenchFailed("The workspace has no webhook.")
    password = SecretBox(checkout.secret_key()).decrypt(row[0])
    return Intake(stage, outreach.uuid, url.path, url.port, password, _records(sent))


def _records(sent: Sequence[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Return what happens to mails, as the standard payload tells it, mail by mail."""
    numbers, start = itertools.count(), datetime(2026, 3, 2, 9, tzinfo=UTC)
    return [
        {
            "id": f"event-{next(numbers)}",
            "type": what,
            "timestamp": (start + timedelta(seconds=number // 50 + 90 * turn)).isoformat(),
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
            **({"user_agent": AGENT, "ip": f"102.65.{number % 250}.7"} if what in {"open", "click"} else {}),
            **({"link_url": "https://bench.example/offer"} if what == "click" else {}),
        }
        for number, (draft_id, email) in enumerate(sent)
        for turn, what in enumerate(STORY)
    ]


def _taken(intake: Intake, records: int, volume: Volume) -> list[Figure]:
    """Return how many events a second are taken in, and how many were answered and are not there."""
    bodies = list(itertools.islice(intake.bodies(records), MOST_BODIES))
    taken, bare, lost, size = [], [], 0, 0.0
    for _ in range(volume.turns):
        intake.empty()
        calls, seconds = _call(intake, bodies, volume.seconds)
        rows, batches = intake.ask(_TAKEN)
        lost += calls - rows
        if not intake.ask(_WAITING, JOB_TYPE)[0]:
            raise BenchFailed("What was taken in waits for nobody.")
        taken.append(calls * records / seconds)
        intake.empty()
        size = rows / batches
        bare.append(asyncio.run(_inserted(intake, bodies, round(size), volume.seconds)) * records)
    called = f"{records} record{'s' if records > 1 else ''} a call"
    return [
        Figure(f"intake, {called}", median(taken), "events/s", at_least=PER_SECOND),
        Figure(
            f"intake, {called}, beside a bare insert", median(taken), "events/s", median(bare), at_least=SHARE_OF_BARE
        ),
        Figure(f"intake, {called}: calls stored together", size, ""),
        Figure(f"intake, {called}: calls answered and not stored", lost, "", at_most=0),
    ]


def _call(intake: Intake, bodies: Sequence[bytes], seconds: float) -> tuple[int, float]:
    """Return how many calls were answered, in how many seconds."""
    requests = [base64.b64encode(intake.request(body)).decode() for body in bodies]
    told = {"port": intake.port, "connections": CONNECTIONS, "seconds": seconds, "requests": requests}
    command = [sys.executable, "-m", "benchmarks.webhook_caller"]
    given = json.dumps(told)
    where = checkout.root()
    done = subprocess.run(command, input=given, capture_output=True, text=True, cwd=where, check=False)  # noqa: S603 - ours
    if done.returncode:
        raise BenchFailed(f"The intake did not answer: {done.stderr[-500:]}")
    answer = json.loads(done.stdout)
    return answer["calls"], answer["seconds"]


async def _inserted(intake: Intake, bodies: Sequence[bytes], batch: int, seconds: float) -> float:
    """Return how many bodies a second are inserted by a connection that does nothing else."""
    turns = itertools.cycle(bodies)
    url = libpq_url(role_url(intake.stage.database.owner, APP_ROLE))
    async with bare_connection(url, intake.id) as connection:
        started, done = time.monotonic(), 0
        while time.monotonic() < started + seconds:
            await connection.execute(_INSERT, [intake.id, list(itertools.islice(turns, batch))])
            done += batch
        return done / (time.monotonic() - started)


def _applied(intake: Intake) -> Figure:
    """Return how many events a second one worker makes of what is stored, ten to a call."""
    intake.empty()
    bodies = list(intake.bodies(10))
    with connect(intake.stage.database.direct) as connection:
        connection.execute(_INSERT, [intake.id, bodies])
        connection.execute("VACUUM ANALYZE")
        (job,) = connection.execute(_ENQUEUE, [intake.id, JOB_TYPE]).fetchone() or (None,)
    intake.stage.start_worker()
    deadline = time.monotonic() + LONGEST_SECONDS
    while True:
        status, seconds, events = intake.ask(_APPLIED, job)
        if status == "completed":
            break
        if time.monotonic() > deadline or status == "failed":
            raise BenchFailed(f"Applying is {status} with {events:,} of {len(intake.records):,} events.")
        time.sleep(LOOK_SECONDS)
    if events != len(intake.records):
        raise BenchFailed(f"Of {len(intake.records):,} events {events:,} were applied.")
    return Figure("events applied by one worker", events / seconds, "events/s")

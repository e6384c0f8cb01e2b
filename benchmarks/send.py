"""`salesmatter bench send`: measures the throughput of the engine beside a simple loop, and the lateness of emails.

The engine has reviewed drafts with due jobs; the loop posts the bodies of the same emails to the same sandbox with the
same number of connections. They alternate. The sandbox, a separate process, generates no events.
"""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median, quantiles
from typing import Any

import httpx

from api.settings import ApiSettings
from benchmarks.campaign_replay import Campaign, compare_with_engine
from benchmarks.databases import fresh_database
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure
from benchmarks.outreach import Outreach, ReadyEmail, Testbed, start_testbed
from benchmarks.progress import Progress
from benchmarks.sizes import Size
from database.roles import connect
from everlytic.requests import RequestBuilder
from salesmatter.stack import Database, open_database

SANDBOX = ["everlytic.sandbox", "--seed", "1", "--scenario", "accepted_no_events=1"]
CONCURRENCY: int = ApiSettings.model_fields["send_concurrency"].default
"""The default number of concurrent emails of a worker."""
START_DELAY = timedelta(seconds=1)
TIMEOUT_SECONDS, POLL_SECONDS = 120.0, 0.1
MIN_RATIO_TO_LOOP, MAX_P50_SECONDS, MAX_P95_SECONDS = 0.7, 0.5, 2.0

_DONE = """
SELECT count(DISTINCT draft.id) FILTER (WHERE job.status = 'completed' AND draft.status = 'sent'),
       min(started_at), max(completed_at)
  FROM app.scheduled_jobs AS job JOIN app.email_drafts AS draft ON draft.id::text = payload ->> 'draftId'
 WHERE job.workspace_id = %s AND job.job_type = 'send_email' AND draft.id = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class Load:
    """The repetitions and emails of the throughput, the emails and seconds of the lateness, and the campaign."""

    repetitions: int
    emails: int
    trickle: int
    trickle_seconds: float
    campaign: Campaign


LOADS: dict[Size, Load] = {
    "small": Load(2, 800, 60, 6.0, Campaign(leads=60, steps=3, cap=20)),
    "full": Load(5, 5_000, 300, 30.0, Campaign(leads=2_000, steps=6, cap=500)),
}


def run(size: Size, progress: Progress) -> list[Figure]:
    """Measure on temporary databases; raises StartError."""
    with open_database() as server:
        return measure(server, LOADS[size], progress)


def measure(server: Database, load: Load, progress: Progress) -> list[Figure]:
    """Measure with a load; raises StartError."""
    with fresh_database(server) as database, start_testbed(database, SANDBOX) as testbed:
        outreach = testbed.create_outreach()
        outreach.connect(testbed.provider)
        testbed.start_worker()
        figures = [
            *_measure_rates(testbed, outreach, load, progress),
            *_measure_lateness(testbed, outreach, load, progress),
        ]
    # In another database without a worker, because workers use the real clock.
    with fresh_database(server) as database, start_testbed(database, SANDBOX) as testbed:
        return [*figures, *compare_with_engine(testbed, load.campaign, progress)]


def _measure_rates(testbed: Testbed, outreach: Outreach, load: Load, progress: Progress) -> Iterator[Figure]:
    """Yield how many emails per second are sent."""
    progress(f"Sending {load.emails:,} emails {load.repetitions} times, with the engine and with a loop.")
    sequence = outreach.write_sequence(1)
    _wait_until_sent(testbed, outreach, outreach.add_leads(CONCURRENCY, sequence, 0, datetime.now(UTC)))
    engine_rates: list[float] = []
    loop_rates: list[float] = []
    for _ in range(load.repetitions):
        emails = outreach.add_leads(load.emails, sequence, 0, datetime.now(UTC) + START_DELAY)
        first, last = _wait_until_sent(testbed, outreach, emails)
        engine_rates.append(load.emails / (last - first).total_seconds())
        bodies = _read_bodies(testbed, outreach, emails)
        loop_rates.append(load.emails / asyncio.run(_post(testbed, outreach, bodies)))
    yield Figure(
        f"emails by one worker, beside a bare loop, {CONCURRENCY} at once",
        median(engine_rates),
        "/s",
        median(loop_rates),
        at_least=MIN_RATIO_TO_LOOP,
    )


def _wait_until_sent(testbed: Testbed, outreach: Outreach, emails: Sequence[ReadyEmail]) -> tuple[datetime, datetime]:
    """Wait until these emails are sent and recorded; returns the start of the first job and the end of the last."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    with connect(testbed.database.direct) as connection:
        while True:
            row = connection.execute(_DONE, [outreach.id, [mail.draft for mail in emails]]).fetchone()
            assert row is not None
            done, first, last = row
            if done == len(emails):
                return first, last
            testbed.processes.require_running()
            if time.monotonic() > deadline:
                raise BenchmarkError(f"Only {done:,} of {len(emails):,} emails were sent in {TIMEOUT_SECONDS:.0f} s.")
            time.sleep(POLL_SECONDS)


def _read_bodies(testbed: Testbed, outreach: Outreach, emails: Sequence[ReadyEmail]) -> list[bytes]:
    """Return the bodies that the engine posted for these emails, by the sandbox's record."""
    draft_ids = {str(email.draft) for email in emails}
    bodies = {}
    for email in _query_sandbox(testbed, "mails", outreach):
        if email["message_id"] in draft_ids:
            bodies[email["message_id"]] = json.dumps(
                {
                    "headers": {
                        "subject": email["subject"],
                        "message_id": email["message_id"],
                        "to": [{"email": email["recipient"], "name": "Thandi"}],
                        "from": {"email": email["sender"], "name": "Ann"},
                        "reply_to": {"email": email["sender"], "name": "Ann"},
                        "custom_headers": email["custom_headers"],
                    },
                    "body": {"html": email["html"], "text": email["text"]},
                    "options": {"group_name": email["group"], "track_opens": True, "track_links": True},
                }
            ).encode()
    if bodies.keys() != draft_ids:
        raise BenchmarkError(f"The sandbox has {len(bodies):,} of {len(draft_ids):,} emails.")
    return list(bodies.values())


async def _post(testbed: Testbed, outreach: Outreach, bodies: Sequence[bytes]) -> float:
    """Post the bodies concurrently with httpx, and return the seconds it takes."""
    remaining = iter(bodies)
    request = RequestBuilder(
        transactional_url=f"{testbed.provider}/transactional/email/v1",
        tenant_url=f"{testbed.provider}/api/2.0",
        username=outreach.username,
        api_key=f"sandbox-key-{outreach.username}",
    ).v1("POST", "mail", body={})
    limits = httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
    async with httpx.AsyncClient(headers=dict(request.headers), limits=limits, timeout=60.0, trust_env=False) as client:

        async def post_bodies() -> None:
            for body in remaining:
                (await client.post(request.url, content=body)).raise_for_status()

        started = time.perf_counter()
        await asyncio.gather(*(post_bodies() for _ in range(CONCURRENCY)))
        return time.perf_counter() - started


def _measure_lateness(testbed: Testbed, outreach: Outreach, load: Load, progress: Progress) -> Iterator[Figure]:
    """Yield how late the provider receives single emails."""
    progress(f"{load.trickle} emails become due one by one within {load.trickle_seconds:g} s.")
    sequence = outreach.write_sequence(1)
    apart = timedelta(seconds=load.trickle_seconds) / load.trickle
    first = datetime.now(UTC) + START_DELAY
    emails = outreach.add_leads(load.trickle, sequence, 0, first, apart)
    _wait_until_sent(testbed, outreach, emails)
    with connect(testbed.database.direct) as connection:
        statement = "SELECT payload ->> 'draftId', scheduled_for FROM app.scheduled_jobs WHERE job_type = 'send_email'"
        due = {draft: at.timestamp() for draft, at in connection.execute(statement).fetchall()}
    draft_ids = {str(email.draft) for email in emails}
    lateness = [
        email["accepted_at"] - due[email["message_id"]]
        for email in _query_sandbox(testbed, "ledger", outreach)
        if email["message_id"] in draft_ids
    ]
    percentiles = quantiles(lateness, n=100, method="inclusive")
    yield Figure("from due to the provider's call, p50", percentiles[49], "s", at_most=MAX_P50_SECONDS)
    yield Figure("from due to the provider's call, p95", percentiles[94], "s", at_most=MAX_P95_SECONDS)


def _query_sandbox(testbed: Testbed, resource: str, outreach: Outreach) -> list[dict[str, Any]]:
    """Return the workspace's emails from the sandbox's control API."""
    url = f"{testbed.provider}/__sandbox__/{resource}"
    response = httpx.get(url, params={"username": outreach.username}, timeout=60.0, trust_env=False)
    emails: list[dict[str, Any]] = response.raise_for_status().json()
    return emails

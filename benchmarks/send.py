"""`salesmatter bench send`: emails a second through the whole engine beside a bare loop, and how late mails leave.

The engine has reviewed drafts and jobs that are due; the bare loop has the bodies of the same mails, and posts them
with as many connections to the same sandbox. They take turns. The sandbox, a process of its own, is told that nothing
ever happens to a mail, so that neither pays for what comes after.
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
from benchmarks.databases import fresh_database
from benchmarks.errors import BenchFailed
from benchmarks.figures import Figure
from benchmarks.outreach import Mail, Outreach, Stage, staged
from benchmarks.played import Campaign
from benchmarks.played import figures as campaigns
from benchmarks.registry import Say, Size
from database.roles import connect
from everlytic.requests import RequestBuilder
from salesmatter.stack import Database, open_database

SANDBOX = ["everlytic.sandbox", "--seed", "1", "--scenario", "accepted_no_events=1"]
CONCURRENCY: int = ApiSettings.model_fields["send_concurrency"].default
"""Emails a worker sends at once unless it is told otherwise."""
AHEAD = timedelta(seconds=1)
LONGEST_SECONDS, LOOK_SECONDS = 120.0, 0.1
LEAST_OF_LOOP, MOST_OF_P50_SECONDS, MOST_OF_P95_SECONDS = 0.7, 0.5, 2.0

_DONE = """
SELECT count(DISTINCT draft.id) FILTER (WHERE job.status = 'completed' AND draft.status = 'sent'),
       min(started_at), max(completed_at)
  FROM app.scheduled_jobs AS job JOIN app.email_drafts AS draft ON draft.id::text = payload ->> 'draftId'
 WHERE job.workspace_id = %s AND job.job_type = 'send_email' AND draft.id = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class Load:
    """How many turns of so many mails, how many mails come one by one within so many seconds, and what is played."""

    turns: int
    mails: int
    trickle: int
    trickle_seconds: float
    campaign: Campaign


LOADS: dict[Size, Load] = {
    "small": Load(2, 800, 60, 6.0, Campaign(leads=60, steps=3, cap=20)),
    "full": Load(5, 5_000, 300, 30.0, Campaign(leads=2_000, steps=6, cap=500)),
}


def run(size: Size, say: Say) -> list[Figure]:
    """Measure on a database that is made for it; raises StartError."""
    with open_database() as server:
        return measure(server, LOADS[size], say)


def measure(server: Database, load: Load, say: Say) -> list[Figure]:
    """Measure so much; raises StartError."""
    with fresh_database(server) as database, staged(database, SANDBOX) as stage:
        outreach = stage.outreach()
        outreach.connect(stage.provider)
        stage.start_worker()
        found = [*_rates(stage, outreach, load, say), *_trickle(stage, outreach, load, say)]
    # Where no worker is, whose clock would be another.
    with fresh_database(server) as database, staged(database, SANDBOX) as stage:
        return [*found, *campaigns(stage, load.campaign, say)]


def _rates(stage: Stage, outreach: Outreach, load: Load, say: Say) -> Iterator[Figure]:
    """Yield how many mails a second leave."""
    say(f"Sending {load.mails:,} mails {load.turns} times, by the engine and by a bare loop.")
    sequence = outreach.write_sequence(1)
    _send(stage, outreach, outreach.put(CONCURRENCY, sequence, 0, datetime.now(UTC)))
    engine: list[float] = []
    bare: list[float] = []
    for _ in range(load.turns):
        mails = outreach.put(load.mails, sequence, 0, datetime.now(UTC) + AHEAD)
        first, last = _send(stage, outreach, mails)
        engine.append(load.mails / (last - first).total_seconds())
        bodies = _bodies(stage, outreach, mails)
        bare.append(load.mails / asyncio.run(_post(stage, outreach, bodies)))
    yield Figure(
        f"emails by one worker, beside a bare loop, {CONCURRENCY} at once",
        median(engine),
        "/s",
        median(bare),
        at_least=LEAST_OF_LOOP,
    )


def _send(stage: Stage, outreach: Outreach, mails: Sequence[Mail]) -> tuple[datetime, datetime]:
    """Wait until all of these mails are sent and recorded; returns when the first job started and the last ended."""
    deadline = time.monotonic() + LONGEST_SECONDS
    with connect(stage.database.direct) as connection:
        while True:
            row = connection.execute(_DONE, [outreach.id, [mail.draft for mail in mails]]).fetchone()
            assert row is not None
            done, first, last = row
            if done == len(mails):
                return first, last
            stage.processes.check()
            if time.monotonic() > deadline:
                raise BenchFailed(f"After {LONGEST_SECONDS:.0f} s {done:,} mails of {len(mails):,} are sent.")
            time.sleep(LOOK_SECONDS)


def _bodies(stage: Stage, outreach: Outreach, mails: Sequence[Mail]) -> list[bytes]:
    """Return what the engine posted for these mails, by the sandbox's record."""
    wanted = {str(mail.draft) for mail in mails}
    found = {}
    for mail in _asked(stage, "mails", outreach):
        if mail["message_id"] in wanted:
            found[mail["message_id"]] = json.dumps(
                {
                    "headers": {
                        "subject": mail["subject"],
                        "message_id": mail["message_id"],
                        "to": [{"email": mail["recipient"], "name": "Thandi"}],
                        "from": {"email": mail["sender"], "name": "Ann"},
                        "reply_to": {"email": mail["sender"], "name": "Ann"},
                        "custom_headers": mail["custom_headers"],
                    },
                    "body": {"html": mail["html"], "text": mail["text"]},
                    "options": {"group_name": mail["group"], "track_opens": True, "track_links": True},
                }
            ).encode()
    if found.keys() != wanted:
        raise BenchFailed(f"The sandbox knows {len(found):,} mails of {len(wanted):,}.")
    return list(found.values())


async def _post(stage: Stage, outreach: Outreach, bodies: Sequence[bytes]) -> float:
    """Post bodies with httpx, so many at once; returns the seconds it takes."""
    waiting = iter(bodies)
    request = RequestBuilder(
        transactional_url=f"{stage.provider}/transactional/email/v1",
        tenant_url=f"{stage.provider}/api/2.0",
        username=outreach.username,
        api_key=f"sandbox-key-{outreach.username}",
    ).v1("POST", "mail", body={})
    limits = httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
    async with httpx.AsyncClient(headers=dict(request.headers), limits=limits, timeout=60.0, trust_env=False) as client:

        async def go_on() -> None:
            for body in waiting:
                (await client.post(request.url, content=body)).raise_for_status()

        started = time.perf_counter()
        await asyncio.gather(*(go_on() for _ in range(CONCURRENCY)))
        return time.perf_counter() - started


def _trickle(stage: Stage, outreach: Outreach, load: Load, say: Say) -> Iterator[Figure]:
    """Yield how long after it was due the provider took a mail that came by itself."""
    say(f"{load.trickle} mails come due one by one within {load.trickle_seconds:g} s.")
    sequence = outreach.write_sequence(1)
    apart = timedelta(seconds=load.trickle_seconds) / load.trickle
    first = datetime.now(UTC) + AHEAD
    mails = outreach.put(load.trickle, sequence, 0, first, apart)
    _send(stage, outreach, mails)
    with connect(stage.database.direct) as connection:
        asked = "SELECT payload ->> 'draftId', scheduled_for FROM app.scheduled_jobs WHERE job_type = 'send_email'"
        due = {draft: at.timestamp() for draft, at in connection.execute(asked).fetchall()}
    wanted = {str(mail.draft) for mail in mails}
    late = [
        mail["accepted_at"] - due[mail["message_id"]]
        for mail in _asked(stage, "ledger", outreach)
        if mail["message_id"] in wanted
    ]
    percents = quantiles(late, n=100, method="inclusive")
    yield Figure("from due to the provider's call, p50", percents[49], "s", at_most=MOST_OF_P50_SECONDS)
    yield Figure("from due to the provider's call, p95", percents[94], "s", at_most=MOST_OF_P95_SECONDS)


def _asked(stage: Stage, what: str, outreach: Outreach) -> list[dict[str, Any]]:
    """Return what the sandbox's control plane knows of the workspace's mails."""
    url = f"{stage.provider}/__sandbox__/{what}"
    answer = httpx.get(url, params={"username": outreach.username}, timeout=60.0, trust_env=False)
    found: list[dict[str, Any]] = answer.raise_for_status().json()
    return found

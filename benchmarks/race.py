"""Stops raced against the sender: what was claimed after somebody had said no, and what was called after it.

In volleys: some mails come due at one moment, and each of their leads is stopped, in one of five ways over HTTP, at a
random time around it. When a claim or a stop committed, Postgres itself says; when a call began, who received it says.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx

from api.people.suppressions.tokens import unsubscribe_token
from benchmarks.errors import BenchFailed
from benchmarks.figures import Figure
from benchmarks.outreach import Mail, Outreach, Stage, Steps, staged
from benchmarks.registry import Say
from database.roles import connect
from salesmatter.stack import Database

VOLLEY = 40
AHEAD_SECONDS = 0.1
"""How long before its mails are due a volley is put on the queue."""
SPREAD_SECONDS = 0.08
"""Within what time the stops of a volley are sent."""
AIM_SECONDS = 0.01
"""By how much the next volley's stops come later when most of one came before the claims, or else earlier."""
QUIET_SECONDS = 60.0
LOOK_SECONDS = 0.2
MOST_WINDOW_MS = 50

# A claim is a row that is written again when it is recorded, and deleted when it is withdrawn: its first version is
# what is asked for.
_NOTE_CLAIMS = """
CREATE SCHEMA bench;
CREATE TABLE bench.claims (draft_id uuid);
CREATE FUNCTION bench.note_claim() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  AS 'BEGIN INSERT INTO bench.claims VALUES (NEW.draft_id); RETURN NULL; END';
CREATE TRIGGER note_claim AFTER INSERT ON app.send_attempts FOR EACH ROW EXECUTE FUNCTION bench.note_claim();
"""
_BUSY = """
SELECT EXISTS (SELECT FROM app.scheduled_jobs WHERE workspace_id = %(workspace)s AND status IN ('pending', 'running')
                  AND job_type IN ('send_email', 'classify_reply'))
    OR EXISTS (SELECT FROM app.send_attempts WHERE workspace_id = %(workspace)s AND outcome = 'claimed')
"""
# Whatever says no to a lead, in rows that are written once.
_FOUND = """
WITH stop AS (
  SELECT draft.id AS draft_id, pg_xact_commit_timestamp(event.xmin) AS at
    FROM app.enrollment_events AS event JOIN app.email_drafts AS draft USING (enrollment_id)
   WHERE event.to_status <> 'completed' AND event.to_status <> 'active'
  UNION ALL
  SELECT draft.id, pg_xact_commit_timestamp(event.xmin)
    FROM app.lead_events AS event JOIN app.email_drafts AS draft USING (lead_id) WHERE event.to_status = 'Unsubscribed'
  UNION ALL
  SELECT draft.id, pg_xact_commit_timestamp(suppression.xmin)
    FROM app.suppressions AS suppression
    JOIN app.leads AS lead ON suppression.value IN (lead.email, split_part(lead.email, '@', 2))
    JOIN app.email_drafts AS draft ON draft.lead_id = lead.id
)
SELECT draft.id::text, extract(epoch FROM (SELECT min(at) FROM stop WHERE stop.draft_id = draft.id))::float8,
       attempt.id IS NOT NULL,
       (SELECT extract(epoch FROM max(pg_xact_commit_timestamp(claim.xmin)))::float8
          FROM bench.claims AS claim WHERE claim.draft_id = draft.id)
  FROM app.email_drafts AS draft LEFT JOIN app.send_attempts AS attempt ON attempt.draft_id = draft.id
 WHERE draft.workspace_id = %s AND draft.id = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class Try:
    """One mail whose lead was stopped; times are epoch seconds, None for what never was."""

    draft: str
    stopped: float | None
    is_claimed: bool
    """Whether there is a claim at the end."""
    claimed: float | None
    """When the last claim committed, whether it was withdrawn or not."""
    called: float | None


def measure(database: Database, tries: int, say: Say) -> Iterator[Figure]:
    """Race so many stops on a migrated database that stamps commits; raises StartError."""
    say(f"Racing {tries:,} stops against the sender.")
    with connect(database.direct) as connection:
        connection.execute(_NOTE_CLAIMS)
    with staged(database, ["benchmarks.bare_receiver"], ready="/calls") as stage:
        outreach = stage.outreach()
        stops = _Stops(stage, outreach, outreach.connect(stage.provider)["inboundUrl"])
        sequence = outreach.write_sequence(2)
        stage.start_worker()
        mails = asyncio.run(stops.run(sequence, tries))
        _wait_until_quiet(stage, outreach)
        found = list(_found(stage, outreach, mails))
    yield from figures(found)


class _Stops:
    """The five ways to say no, over HTTP."""

    def __init__(self, stage: Stage, outreach: Outreach, inbound_url: str) -> None:
        self._stage, self._outreach, self._inbound = stage, outreach, urlsplit(inbound_url).path
        self._keys = stage.environment["SALESMATTER_SECRET_KEY"]
        self._ways = (self._unsubscribe, self._link, self._suppress, self._pause, self._reply)

    async def run(self, sequence: Steps, tries: int) -> list[Mail]:
        """Send volleys until there were so many tries, the next when all of one are answered; returns their mails."""
        api = self._stage.api
        done: list[Mail] = []
        aim = 0.0
        async with httpx.AsyncClient(
            base_url=api.base_url, headers=api.headers, timeout=60.0, trust_env=False
        ) as client:
            while len(done) < tries:
                due = time.time() + AHEAD_SECONDS
                number = min(VOLLEY, tries - len(done))
                mails = self._outreach.put(number, sequence, 1, datetime.fromtimestamp(due, UTC))
                await asyncio.gather(*(self._stop(client, mail, due + aim) for mail in mails))
                aim += AIM_SECONDS if self._claimed(mails) * 2 < len(mails) else -AIM_SECONDS
                done += mails
                self._stage.processes.check()
        return done

    def _claimed(self, mails: Sequence[Mail]) -> int:
        """Return how many of these mails were claimed, for good or not."""
        with connect(self._stage.database.direct) as connection:
            asked = "SELECT count(DISTINCT draft_id) FROM bench.claims WHERE draft_id = ANY(%s)"
            row = connection.execute(asked, [[mail.draft for mail in mails]]).fetchone()
        assert row is not None
        return int(row[0])

    async def _stop(self, client: httpx.AsyncClient, mail: Mail, aimed: float) -> None:
        moment = aimed + random.uniform(0, SPREAD_SECONDS)  # noqa: S311 - no secret
        way = random.choice(self._ways)  # noqa: S311 - no secret
        await asyncio.sleep(max(0.0, moment - time.time()))
        response = await way(client, mail)
        if not response.is_success:
            raise BenchFailed(f"A stop was answered {response.status_code}: {response.text[:200]}")

    async def _unsubscribe(self, client: httpx.AsyncClient, mail: Mail) -> httpx.Response:
        return await client.post(f"{self._outreach.base}/leads/{mail.lead}/unsubscribe")

    async def _link(self, client: httpx.AsyncClient, mail: Mail) -> httpx.Response:
        token = unsubscribe_token(self._keys, self._outreach.uuid, mail.lead, mail.draft)
        return await client.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"})

    async def _suppress(self, client: httpx.AsyncClient, mail: Mail) -> httpx.Response:
        domain = mail.email.rpartition("@")[2]
        return await client.post(f"{self._outreach.base}/suppressions", json={"domain": domain})

    async def _pause(self, client: httpx.AsyncClient, mail: Mail) -> httpx.Response:
        response = await client.post(f"{self._outreach.base}/enrollments/{mail.enrollment}/pause")
        # When its last mail was sent there is nothing to pause, and nothing left to stop.
        return httpx.Response(200) if response.status_code == httpx.codes.CONFLICT else response

    async def _reply(self, client: httpx.AsyncClient, mail: Mail) -> httpx.Response:
        message = (
            f"From: {mail.email}\r\nTo: ann@bench.example\r\nSubject: Re: Hello\r\nMessage-ID: <{mail.draft}@x.example>"
            f"\r\nDate: {datetime.now(UTC):%a, %d %b %Y %H:%M:%S} +0000\r\n\r\nYes, call me tomorrow.\r\n"
        )
        return await client.post(self._inbound, content=message, headers={"Content-Type": "message/rfc822"})


def _wait_until_quiet(stage: Stage, outreach: Outreach) -> None:
    deadline = time.monotonic() + QUIET_SECONDS
    with connect(stage.database.direct) as connection:
        while connection.execute(_BUSY, {"workspace": outreach.id}).fetchone() != (False,):
            stage.processes.check()
            if time.monotonic() > deadline:
                raise BenchFailed(f"The sender was not done {QUIET_SECONDS:.0f} s after the last stop.")
            time.sleep(LOOK_SECONDS)


def _found(stage: Stage, outreach: Outreach, mails: Sequence[Mail]) -> Iterator[Try]:
    """Yield what came of each mail, by Postgres and by who was called."""
    answer = httpx.get(f"{stage.provider}/calls", timeout=60.0, trust_env=False)
    called = {message_id: began for message_id, began, _ in answer.json()}
    with connect(stage.database.direct) as connection:
        for draft, stopped, is_claimed, claimed in connection.execute(
            _FOUND, [outreach.id, [mail.draft for mail in mails]]
        ).fetchall():
            yield Try(draft, stopped, is_claimed, claimed, called.get(draft))


def figures(tries: Sequence[Try]) -> Iterator[Figure]:
    """Yield how the tries ended, and how long after its lead's stop the latest call began."""
    ends: Counter[str] = Counter({"sent before": 0, "stopped before any claim": 0, "withdrawn before the call": 0})
    late, windows, unclaimed = 0, [0.0], 0
    for one in tries:
        if one.stopped is None:
            ends["sent before"] += 1
            continue
        late += one.claimed is not None and one.claimed > one.stopped
        if one.called is None:
            ends["stopped before any claim" if one.claimed is None else "withdrawn before the call"] += 1
        else:
            unclaimed += not one.is_claimed
            windows.append(one.called - one.stopped)
            ends["sent before" if one.called <= one.stopped else "called after the stop"] += 1
    yield Figure("stops raced against the sender", len(tries), "")
    for name, number in ends.items():
        yield Figure(f"of them {name}", number, "")
    yield Figure("claims that committed after the stop", late, "", at_most=0)
    yield Figure("calls without a claim", unclaimed, "", at_most=0)
    yield Figure(
        "from a stop's commit to the latest start of a call", max(windows) * 1000, "ms", at_most=MOST_WINDOW_MS
    )

"""Races stops against the sender, and counts claims and provider calls after a stop.

In each volley several emails become due at the same time, and each lead is stopped over HTTP in one of five ways, at a
random time around it; every tenth by a no in one of the shapes of `benchmarks/stop_shapes.py`. Postgres provides the
commit times of claims and stops, and the provider the start times of calls.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import UUID

import httpx

from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure
from benchmarks.outreach import Outreach, ReadyEmail, SequenceSteps, Testbed, start_testbed
from benchmarks.progress import Progress
from benchmarks.stop_shapes import NAMES, SentMail, build_message
from database.roles import connect
from domain.unsubscribe_link import unsubscribe_token
from salesmatter.stack import Database

VOLLEY = 40
AHEAD_SECONDS = 0.1
"""How long before its due time a volley is enqueued."""
SPREAD_SECONDS = 0.08
"""The time within which the stops of a volley are sent."""
AIM_SECONDS = 0.01
"""The shift of the next volley's stops: later when most of them came before the claims, otherwise earlier."""
FINISH_SECONDS = 60.0
POLL_SECONDS = 0.2
MAX_WINDOW_MS = 50
SHAPED = 10
"""One in so many stops is a no in another shape."""

# The row of a claim is updated when its outcome is recorded and deleted when it is withdrawn, so a trigger stores the
# transaction of its insert.
_RECORD_CLAIMS = """
CREATE SCHEMA bench;
CREATE TABLE bench.claims (draft_id uuid);
CREATE FUNCTION bench.note_claim() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  AS 'BEGIN INSERT INTO bench.claims VALUES (NEW.draft_id); RETURN NULL; END';
CREATE TRIGGER note_claim AFTER INSERT ON app.send_attempts FOR EACH ROW EXECUTE FUNCTION bench.note_claim();
"""
# A mail that met a reply before its classification is checked again only minutes later.
_BUSY = """
SELECT EXISTS (SELECT FROM app.scheduled_jobs WHERE workspace_id = %(workspace)s AND status IN ('pending', 'running')
                  AND job_type IN ('send_email', 'classify_reply') AND run_at < now() + interval '1 minute')
    OR EXISTS (SELECT FROM app.send_attempts WHERE workspace_id = %(workspace)s AND outcome = 'claimed')
"""
# Reports and answers are matched to the mail that the recipient got before.
_RECORD_EARLIER = """
INSERT INTO app.send_attempts (workspace_id, draft_id, claimed_at, outcome, recorded_at, recipient, subject)
SELECT earlier.workspace_id, earlier.id, earlier.sent_at, 'accepted', earlier.sent_at, lead.email, earlier.subject
  FROM app.email_drafts AS draft
  JOIN app.email_drafts AS earlier ON earlier.enrollment_id = draft.enrollment_id AND earlier.status = 'sent'
  JOIN app.leads AS lead ON lead.id = draft.lead_id
 WHERE draft.id = ANY(%s)
RETURNING recipient, draft_id
"""
# All rows that stop a lead; they are never updated, so their xmin is the transaction of the stop.
_RESULTS = """
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
          FROM bench.claims AS claim WHERE claim.draft_id = draft.id),
       EXISTS (SELECT FROM app.suppressions AS suppression JOIN app.leads AS lead ON lead.email = suppression.value
                WHERE lead.id = draft.lead_id)
  FROM app.email_drafts AS draft LEFT JOIN app.send_attempts AS attempt ON attempt.draft_id = draft.id
 WHERE draft.workspace_id = %s AND draft.id = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class RaceResult:
    """The result for one email whose lead was stopped; times are epoch seconds, None if it never happened."""

    draft: str
    stopped: float | None
    is_claimed: bool
    """Whether a claim exists at the end."""
    claimed: float | None
    """When the last claim committed, even if it was withdrawn."""
    called: float | None
    is_suppressed: bool = False
    """Whether the address that was mailed is suppressed at the end."""
    shape: str | None = None
    """The name of the shape in which the no came, if it was another."""


def measure(database: Database, attempts: int, progress: Progress) -> Iterator[Figure]:
    """Race `attempts` stops on a migrated database with track_commit_timestamp; raises StartError."""
    progress(f"Racing {attempts:,} stops against the sender.")
    with connect(database.direct) as connection:
        connection.execute(_RECORD_CLAIMS)
    with start_testbed(database, ["benchmarks.recording_provider"], ready_path="/calls") as testbed:
        outreach = testbed.create_outreach()
        stops = _StopSender(testbed, outreach, outreach.connect(testbed.provider)["inboundUrl"])
        sequence = outreach.write_sequence(2)
        testbed.start_worker()
        emails = asyncio.run(stops.run(sequence, attempts))
        _wait_until_done(testbed, outreach)
        results = list(_read_results(testbed, outreach, emails, stops.shapes))
    yield from summarize(results)


class _StopSender:
    """Sends the five kinds of stops, and a no in another shape now and then, over HTTP."""

    def __init__(self, testbed: Testbed, outreach: Outreach, inbound_url: str) -> None:
        self._testbed, self._outreach, self._inbound = testbed, outreach, urlsplit(inbound_url).path
        self._keys = testbed.environment["SALESMATTER_SECRET_KEY"]
        self.shapes: dict[UUID, str] = {}
        """The shape of the no by the email's draft."""
        self._stops = (self._unsubscribe, self._unsubscribe_by_link, self._suppress, self._pause, self._reply)

    async def run(self, sequence: SequenceSteps, attempts: int) -> list[ReadyEmail]:
        """Send `attempts` stops in volleys, each after the responses to the previous one; returns the emails."""
        api = self._testbed.api
        emails: list[ReadyEmail] = []
        offset = 0.0
        async with httpx.AsyncClient(
            base_url=api.base_url, headers=api.headers, timeout=60.0, trust_env=False
        ) as client:
            while len(emails) < attempts:
                due = time.time() + AHEAD_SECONDS
                number = min(VOLLEY, attempts - len(emails))
                volley = self._outreach.add_leads(number, sequence, 1, datetime.fromtimestamp(due, UTC))
                sent = self._record_earlier(volley)
                for place in range(-len(emails) % SHAPED, number, SHAPED):
                    self.shapes[volley[place].draft] = NAMES[len(self.shapes) % len(NAMES)]
                await asyncio.gather(
                    *(self._send_stop(client, mail, sent[mail.email], due + offset) for mail in volley)
                )
                offset += AIM_SECONDS if self._count_claimed(volley) * 2 < len(volley) else -AIM_SECONDS
                emails += volley
                self._testbed.processes.require_running()
        return emails

    def _record_earlier(self, emails: Sequence[ReadyEmail]) -> dict[str, SentMail]:
        """Store that the mail of the step before was accepted; returns these mails by their recipient."""
        with connect(self._testbed.database.direct) as connection:
            rows = connection.execute(_RECORD_EARLIER, [[email.draft for email in emails]]).fetchall()
        return {recipient: SentMail(recipient, draft) for recipient, draft in rows}

    def _count_claimed(self, emails: Sequence[ReadyEmail]) -> int:
        """Return how many of these emails were ever claimed."""
        with connect(self._testbed.database.direct) as connection:
            statement = "SELECT count(DISTINCT draft_id) FROM bench.claims WHERE draft_id = ANY(%s)"
            row = connection.execute(statement, [[email.draft for email in emails]]).fetchone()
        assert row is not None
        return int(row[0])

    async def _send_stop(self, client: httpx.AsyncClient, mail: ReadyEmail, sent: SentMail, target_time: float) -> None:
        send_time = target_time + random.uniform(0, SPREAD_SECONDS)  # noqa: S311 - no secret
        stop = random.choice(self._stops)  # noqa: S311 - no secret
        await asyncio.sleep(max(0.0, send_time - time.time()))
        shape = self.shapes.get(mail.draft)
        response = await (self._post(client, build_message(shape, sent)) if shape else stop(client, mail))
        if not response.is_success:
            raise BenchmarkError(f"A stop returned {response.status_code}: {response.text[:200]}")

    async def _unsubscribe(self, client: httpx.AsyncClient, mail: ReadyEmail) -> httpx.Response:
        return await client.post(f"{self._outreach.base}/leads/{mail.lead}/unsubscribe")

    async def _unsubscribe_by_link(self, client: httpx.AsyncClient, mail: ReadyEmail) -> httpx.Response:
        token = unsubscribe_token(self._keys, self._outreach.uuid, mail.lead, mail.draft)
        return await client.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"})

    async def _suppress(self, client: httpx.AsyncClient, mail: ReadyEmail) -> httpx.Response:
        domain = mail.email.rpartition("@")[2]
        return await client.post(f"{self._outreach.base}/suppressions", json={"domain": domain})

    async def _pause(self, client: httpx.AsyncClient, mail: ReadyEmail) -> httpx.Response:
        response = await client.post(f"{self._outreach.base}/enrollments/{mail.enrollment}/pause")
        # After its last email an enrollment is completed, so there is nothing to pause.
        return httpx.Response(200) if response.status_code == httpx.codes.CONFLICT else response

    async def _reply(self, client: httpx.AsyncClient, mail: ReadyEmail) -> httpx.Response:
        message = (
            f"From: {mail.email}\r\nTo: ann@bench.example\r\nSubject: Re: Hello\r\nMessage-ID: <{mail.draft}@x.example>"
            f"\r\nDate: {datetime.now(UTC):%a, %d %b %Y %H:%M:%S} +0000\r\n\r\nYes, call me tomorrow.\r\n"
        )
        return await self._post(client, message.encode())

    async def _post(self, client: httpx.AsyncClient, message: bytes) -> httpx.Response:
        return await client.post(self._inbound, content=message, headers={"Content-Type": "message/rfc822"})


def _wait_until_done(testbed: Testbed, outreach: Outreach) -> None:
    deadline = time.monotonic() + FINISH_SECONDS
    with connect(testbed.database.direct) as connection:
        while connection.execute(_BUSY, {"workspace": outreach.id}).fetchone() != (False,):
            testbed.processes.require_running()
            if time.monotonic() > deadline:
                raise BenchmarkError(f"The sender was still working {FINISH_SECONDS:.0f} s after the last stop.")
            time.sleep(POLL_SECONDS)


def _read_results(
    testbed: Testbed, outreach: Outreach, emails: Sequence[ReadyEmail], shapes: Mapping[UUID, str]
) -> Iterator[RaceResult]:
    """Yield the result of each email from Postgres and the provider."""
    response = httpx.get(f"{testbed.provider}/calls", timeout=60.0, trust_env=False)
    call_times = {message_id: began for message_id, began, _ in response.json()}
    with connect(testbed.database.direct) as connection:
        for draft, stopped, is_claimed, claimed, is_suppressed in connection.execute(
            _RESULTS, [outreach.id, [mail.draft for mail in emails]]
        ).fetchall():
            called = call_times.get(draft)
            yield RaceResult(draft, stopped, is_claimed, claimed, called, is_suppressed, shapes.get(UUID(draft)))


def summarize(results: Sequence[RaceResult]) -> Iterator[Figure]:
    """Yield the number of results by kind, and the longest time from a stop to the start of a call."""
    outcomes: Counter[str] = Counter({"sent before": 0, "stopped before any claim": 0, "withdrawn before the call": 0})
    late, windows, unclaimed = 0, [0.0], 0
    for result in results:
        if result.stopped is None:
            outcomes["sent before"] += 1
            continue
        late += result.claimed is not None and result.claimed > result.stopped
        if result.called is None:
            outcomes["stopped before any claim" if result.claimed is None else "withdrawn before the call"] += 1
        else:
            unclaimed += not result.is_claimed
            windows.append(result.called - result.stopped)
            outcomes["sent before" if result.called <= result.stopped else "called after the stop"] += 1
    yield Figure("stops raced against the sender", len(results), "")
    for name, number in outcomes.items():
        yield Figure(f"of them {name}", number, "")
    shaped = [result for result in results if result.shape is not None]
    unheard = Counter(result.shape for result in shaped if not result.is_suppressed)
    yield Figure("of them a no in another shape", len(shaped), "")
    for shape, number in unheard.items():
        yield Figure(f"not suppressed: {shape}", number, "")
    yield Figure("addresses not suppressed after such a no", unheard.total(), "", at_most=0)
    yield Figure("claims that committed after the stop", late, "", at_most=0)
    yield Figure("calls without a claim", unclaimed, "", at_most=0)
    yield Figure("from a stop's commit to the latest start of a call", max(windows) * 1000, "ms", at_most=MAX_WINDOW_MS)

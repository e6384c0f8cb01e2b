"""What happens to a mail between its claim and its call, and what the end of the call says about the provider."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from api.delivery.sending.tasks import CONFIRMATION_SECONDS
from api.http.resources import Services
from api.settings import ApiSettings
from database.roles import APP_ROLE
from domain.breaker import PROBE_LEASE
from tests.api.running import stop_clock
from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)
SERVES = (0, None)
"""The failures and the block of a connection that nothing stands against."""
ANSWER = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"


@pytest.fixture
def api_settings(api_settings: ApiSettings) -> ApiSettings:
    """Settings of a worker that has few connections to providers, and is patient."""
    return api_settings.model_copy(update={"send_concurrency": 1, "provider_timeout_seconds": 60})


@dataclass(frozen=True, slots=True)
class Mail:
    """One reviewed mail that is due, on a business clock that stands still at `now`."""

    outreach: Outreach
    services: Services
    owner: psycopg.Connection
    now: datetime
    lead_id: str
    sequence_id: str

    def put_block(self, failures: int, blocked_until: datetime | None) -> None:
        """Write down what is known of the provider."""
        statement = "UPDATE app.everlytic_connections SET failures = %s, blocked_until = %s, blocked_reason = 'before'"
        self.owner.execute(statement, [failures, blocked_until])

    @property
    def block(self) -> tuple[Any, ...]:
        """What is known of the provider by now: the failures and the block."""
        return self._row("SELECT failures, blocked_until FROM app.everlytic_connections")

    @property
    def claims(self) -> int:
        """How many claims there are."""
        number: int = self._row("SELECT count(*) FROM app.send_attempts")[0]
        return number

    @property
    def job(self) -> tuple[Any, ...]:
        """The status and the time of the job that sends it."""
        return self._row("SELECT status, run_at FROM app.scheduled_jobs WHERE job_type = 'send_email'")

    @property
    def runs(self) -> int:
        """How often that job was begun."""
        number: int = self._row("SELECT attempts FROM app.scheduled_jobs WHERE job_type = 'send_email'")[0]
        return number

    def _row(self, statement: str) -> tuple[Any, ...]:
        row = self.owner.execute(statement.encode()).fetchone()
        assert row is not None
        return row

    @asynccontextmanager
    async def claimed(self) -> AsyncIterator[None]:
        """Have the mail claimed before the block, and called after it, later than its claim is trusted."""
        async with all_connections_busy(self.services):
            working = asyncio.create_task(self.outreach.run_jobs())
            while not self.claims:
                assert not working.done(), "nothing was claimed"
                await asyncio.wait({working}, timeout=0.01)
            # What the claim saw is older than its commit.
            claimed_at = time.monotonic()
            yield
            while time.monotonic() - claimed_at <= CONFIRMATION_SECONDS:
                await asyncio.wait({working}, timeout=0.01)
            assert not working.done(), "the call did not wait"
        await working


@asynccontextmanager
async def all_connections_busy(services: Services) -> AsyncIterator[None]:
    """Keep all connections to providers busy until the end of the block: each waits for an answer."""
    number = services.settings.send_concurrency * 2
    arrived, ended = asyncio.Semaphore(0), asyncio.Event()

    async def answer_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.release()
        await ended.wait()
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer_late, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with asyncio.TaskGroup() as group:
            for _ in range(number):
                group.create_task(services.http.get(url))
            for _ in range(number):
                await arrived.acquire()
            yield
            ended.set()


@pytest.fixture
def owner(database_url: str) -> Iterator[psycopg.Connection]:
    """The owner of the tables."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def mail(outreach: Outreach, services: Services, owner: psycopg.Connection) -> Mail:
    """Have one reviewed mail wait for a worker."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    lead_id = await outreach.add_lead("thandi@lead.example")
    await outreach.enroll(sequence_id, lead_id)
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    now = services.clock.now()
    stop_clock(services.clock, now)
    return Mail(outreach, services, owner, services.clock.now(), lead_id, sequence_id)


async def test_a_mail_that_waits_long_goes_out(mail: Mail) -> None:
    """A mail that nothing has stopped since its claim goes out, however long it waited for a connection."""
    async with mail.claimed():
        pass
    assert (len(mail.outreach.mails()), mail.runs) == (1, 1)


async def test_a_probe_is_not_stopped_by_its_own_block(mail: Mail) -> None:
    """The mail that tries whether the provider serves again finds the block that its claim made, and goes out."""
    mail.put_block(6, mail.now - MINUTE)
    async with mail.claimed():
        assert mail.block == (6, mail.now + PROBE_LEASE)
    assert (len(mail.outreach.mails()), mail.runs) == (1, 1)
    assert mail.block == SERVES


@pytest.mark.parametrize("failures", [0, 6], ids=["others may go", "it probes"])
async def test_a_block_that_begins_after_the_claim_stops_the_mail(mail: Mail, failures: int) -> None:
    """What another call has found out since counts: the mail is put off to the end of that block, unclaimed."""
    until = mail.now + 10 * MINUTE
    mail.put_block(failures, mail.now - MINUTE if failures else None)
    async with mail.claimed():
        mail.put_block(7, until)
    assert (mail.outreach.mails(), mail.claims) == ([], 0)
    assert mail.job == ("pending", until)
    assert mail.block == (7, until)


async def test_a_block_that_is_over_stops_nothing(mail: Mail) -> None:
    """A block that ends at this moment is over: the mail goes out by the claim that it has."""
    async with mail.claimed():
        mail.put_block(7, mail.now)
    assert (len(mail.outreach.mails()), mail.runs) == (1, 1)


@pytest.mark.parametrize("failures", [0, 6], ids=["others may go", "it probes"])
@pytest.mark.parametrize("stop", ["lead", "sequence"])
async def test_a_mail_that_is_stopped_after_its_claim_does_not_go_out(mail: Mail, stop: str, failures: int) -> None:
    """A no or a pause that comes after the claim stops the mail; the next one may try what a probe was to try."""
    mail.put_block(failures, mail.now - MINUTE if failures else None)
    path = {"lead": f"/leads/{mail.lead_id}/unsubscribe", "sequence": f"/sequences/{mail.sequence_id}/pause"}[stop]
    async with mail.claimed():
        await mail.outreach.post(path)
    assert (mail.outreach.mails(), mail.claims) == ([], 0)
    assert mail.block == ((failures, mail.now) if failures else SERVES)


@pytest.mark.parametrize(
    ("change", "claims"),
    [
        ("UPDATE app.scheduled_jobs SET attempts = attempts + 1, status = 'completed', completed_at = now()", 0),
        ("UPDATE app.scheduled_jobs SET status = 'pending', run_at = run_at + interval '1 hour'", 0),
        ("UPDATE app.send_attempts SET job_id = gen_random_uuid()", 1),
    ],
    ids=["another run", "requeued", "another job"],
)
async def test_a_claim_that_was_taken_over_sends_nothing(mail: Mail, change: str, claims: int) -> None:
    """A worker whose job or attempt another one has taken over since the claim sends nothing.

    It releases its own claim, whose mail certainly did not leave, but never one that another job made.
    """
    async with mail.claimed():
        mail.owner.execute(change.encode())
    assert mail.outreach.mails() == []
    assert mail.claims == claims


async def test_a_mail_that_cannot_be_confirmed_waits(mail: Mail) -> None:
    """A mail does not go out while the database cannot say whether it still may, and goes out once that is told."""
    right = f"SELECT ON app.workspaces {{}} {APP_ROLE}"
    async with mail.claimed():
        mail.owner.execute(f"REVOKE {right.format('FROM')}".encode())
    assert (mail.outreach.mails(), mail.claims, mail.job[0]) == ([], 0, "pending")
    mail.owner.execute(f"GRANT {right.format('TO')}".encode())
    stop_clock(mail.services.clock, mail.now + 60 * MINUTE)
    await mail.outreach.run_jobs()
    assert len(mail.outreach.mails()) == 1


@pytest.mark.parametrize("failures", [0, 4, 6])
@pytest.mark.parametrize("was_blocked", [False, True])
async def test_a_call_that_is_served_ends_what_stood_against_the_provider(
    mail: Mail, failures: int, *, was_blocked: bool
) -> None:
    """After a call that was served nothing counts any more: no failures before it, and no block, by whatever begun."""
    mail.put_block(failures, mail.now - MINUTE if was_blocked else None)
    await mail.outreach.run_jobs()
    assert len(mail.outreach.mails()) == 1
    assert mail.block == SERVES

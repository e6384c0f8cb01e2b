"""A workspace that sends mails, and a mailbox on a real IMAP server for the replies."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from api.http.resources import Services
from domain.clock import Clock
from tests.api.inbox.mailbox.dovecot import PASSWORD, PROGRAM, Dovecot, serving
from tests.api.sending_workspace import Outreach
from tests.optional_programs import skip_reason


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """Run a server for all tests of a process; each test has its own user."""
    if PROGRAM is None:
        pytest.skip(skip_reason("dovecot"))
    with serving() as running:
        yield running


@dataclass(frozen=True, slots=True)
class Box:
    """A workspace's mailbox, and the sent mail that replies answer."""

    outreach: Outreach
    server: Dovecot
    clock: Clock
    user: str
    lead_id: str
    mail: dict[str, Any]

    def body(self, **fields: object) -> dict[str, object]:
        """Return the request body that puts the mailbox."""
        usual = {"host": "127.0.0.1", "port": self.server.port, "security": "none"}
        return {**usual, "username": self.user, "password": PASSWORD, **fields}

    async def put(self, **fields: object) -> dict[str, Any]:
        """Put the mailbox, and poll it."""
        response = await self.outreach.client.put(f"{self.outreach.path}/mailbox", json=self.body(**fields))
        assert response.status_code == 200, response.text
        await self.outreach.run_jobs()
        return await self.shown()

    async def shown(self) -> dict[str, Any]:
        """Return the mailbox from the API."""
        return await self.outreach.get("/mailbox")

    async def poll(self, after: timedelta = timedelta(seconds=61)) -> dict[str, Any]:
        """Advance business time to the next poll, and poll."""
        self.clock.virtual_start += after
        await self.outreach.run_jobs()
        return await self.shown()

    def answer(self, message_id: str, text: str = "Yes please, tell me more.", headers: str = "") -> bytes:
        """Return a message that answers the mail."""
        return (
            f"From: Thandi <thandi@lead.example>\r\nTo: ann@acme.example\r\nSubject: Re: One\r\n"
            f"Message-ID: <{message_id}@lead.example>\r\n"
            f"In-Reply-To: <{self.mail['message_id']}@sandbox.everlytic>\r\n{headers}\r\n{text}\r\n"
        ).encode()

    def deliver(self, *messages: bytes) -> None:
        """Deliver messages to the mailbox."""
        self.server.deliver(self.user, *messages)

    async def replies(self) -> list[dict[str, Any]]:
        """Return the workspace's replies, at most 500."""
        items: list[dict[str, Any]] = (await self.outreach.get("/replies", limit="500"))["items"]
        return items

    async def polls(self) -> list[dict[str, Any]]:
        """Return the pending jobs that poll the mailbox."""
        items: list[dict[str, Any]] = (await self.outreach.get("/jobs", type="poll_mailbox"))["items"]
        return [job for job in items if job["status"] == "pending"]


@pytest.fixture
async def box(outreach: Outreach, dovecot: Dovecot, services: Services) -> Box:
    """Return an empty mailbox that is not put yet, and a sent mail."""
    lead_id, mail = await outreach.send_one()
    return Box(outreach, dovecot, services.clock, f"ann-{uuid.uuid4().hex}@acme.example", lead_id, mail)

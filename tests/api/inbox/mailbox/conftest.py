"""A workspace that sends, and whose answers arrive in a mailbox on a real IMAP server."""

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
    """A server for all tests of a process; each test has a user of its own."""
    if PROGRAM is None:
        pytest.skip(skip_reason("dovecot"))
    with serving() as running:
        yield running


@dataclass(frozen=True, slots=True)
class Box:
    """A workspace's mailbox, and the mail that it answers."""

    outreach: Outreach
    server: Dovecot
    clock: Clock
    user: str
    lead_id: str
    mail: dict[str, Any]

    def body(self, **fields: object) -> dict[str, object]:
        """What a person says of the mailbox."""
        usual = {"host": "127.0.0.1", "port": self.server.port, "security": "none"}
        return {**usual, "username": self.user, "password": PASSWORD, **fields}

    async def put(self, **fields: object) -> dict[str, Any]:
        """Put the mailbox, and have it polled."""
        response = await self.outreach.client.put(f"{self.outreach.path}/mailbox", json=self.body(**fields))
        assert response.status_code == 200, response.text
        await self.outreach.run_jobs()
        return await self.shown()

    async def shown(self) -> dict[str, Any]:
        """What the API says of the mailbox."""
        return await self.outreach.get("/mailbox")

    async def poll(self, after: timedelta = timedelta(seconds=61)) -> dict[str, Any]:
        """Let business time go by until the next poll is due, and have it done."""
        self.clock.virtual_start += after
        await self.outreach.run_jobs()
        return await self.shown()

    def answer(self, message_id: str, text: str = "Yes please, tell me more.", headers: str = "") -> bytes:
        """A message that answers the mail."""
        return (
            f"From: Thandi <thandi@lead.example>\r\nTo: ann@acme.example\r\nSubject: Re: One\r\n"
            f"Message-ID: <{message_id}@lead.example>\r\n"
            f"In-Reply-To: <{self.mail['message_id']}@sandbox.everlytic>\r\n{headers}\r\n{text}\r\n"
        ).encode()

    def deliver(self, *messages: bytes) -> None:
        """Lay messages into the mailbox."""
        self.server.deliver(self.user, *messages)

    async def replies(self) -> list[dict[str, Any]]:
        """The workspace's replies, as many as a page holds."""
        items: list[dict[str, Any]] = (await self.outreach.get("/replies", limit="500"))["items"]
        return items

    async def polls(self) -> list[dict[str, Any]]:
        """The jobs that wait to read the mailbox."""
        items: list[dict[str, Any]] = (await self.outreach.get("/jobs", type="poll_mailbox"))["items"]
        return [job for job in items if job["status"] == "pending"]


@pytest.fixture
async def box(outreach: Outreach, dovecot: Dovecot, services: Services) -> Box:
    """A mailbox that is still empty and not put yet, and one mail that was sent."""
    lead_id, mail = await outreach.send_one()
    return Box(outreach, dovecot, services.clock, f"ann-{uuid.uuid4().hex}@acme.example", lead_id, mail)

"""What trials do: send mails, post messages and events as they came in elsewhere, and read what the API then shows."""

import email
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.accounts.workspaces import service as workspaces
from api.http.resources import Services
from database.tenancy import Scope, transaction
from tests.api.importing import Imports
from tests.api.running import stop_clock
from tests.api.sending_workspace import Outreach

INPUTS = Path(__file__).parent / "inputs"
MONDAY = datetime(2026, 10, 26, 7, tzinfo=UTC)
"""The business time of most trials: 09:00 in Johannesburg."""


def read_input(path: str) -> bytes:
    """Return a file of a trial."""
    return (INPUTS / path).read_bytes()


def read_lines(path: str) -> list[Any]:
    """Return the JSON values of a file with one a line."""
    return [json.loads(line) for line in read_input(path).decode().splitlines()]


@dataclass(frozen=True, slots=True)
class Mailed:
    """A mail that was sent to a lead, who goes through a sequence of two steps."""

    address: str
    lead_id: str
    draft_id: str
    message: dict[str, Any]

    @property
    def link(self) -> str:
        """The path of the unsubscribe link."""
        link: str = self.message["custom_headers"]["List-Unsubscribe"][0].strip("<>")
        return link[link.index("/u/") :]


@dataclass(slots=True)
class Trial:
    """A workspace that can send, at a business time that stands still."""

    outreach: Outreach
    imports: Imports
    services: Services
    auth: tuple[str, str] = field(init=False)

    def set_time(self, at: datetime) -> None:
        """Set the business time."""
        stop_clock(self.services.clock, at)

    async def change_workspace(self, **changes: object) -> None:
        """Change settings of the workspace."""
        client, path = self.outreach.client, self.outreach.path
        tag = (await client.get(path)).headers["ETag"]
        assert (await client.patch(path, json=changes, headers={"If-Match": tag})).is_success

    async def send_mail(self, address: str, **fields: object) -> Mailed:
        """Send the first step of a new sequence to a new lead."""
        body = {"email": address, "firstName": "Mia", **fields}
        lead_id: str = (await self.outreach.post("/leads", body)).json()["id"]
        sequence_id = await self.outreach.add_sequence("One", "Two", auto_approve=False)
        await self.outreach.enroll(sequence_id, lead_id)
        await self.outreach.post("/drafts/approve", {"sequenceId": sequence_id})
        await self.outreach.run_jobs()
        (draft,) = (await self.outreach.get("/drafts", leadId=lead_id, status="sent"))["items"]
        (message,) = [mail for mail in self.outreach.mails() if mail["message_id"] == draft["id"]]
        return Mailed(address, lead_id, draft["id"], message)

    async def send_drafts(self) -> None:
        """Approve every draft that waits for review, and send what may be sent now."""
        drafts = (await self.outreach.get("/drafts", status="drafted"))["items"]
        if drafts:
            await self.outreach.post("/drafts/approve", {"draftIds": [draft["id"] for draft in drafts]})
        await self.outreach.run_jobs()

    def mails_to(self, address: str) -> list[dict[str, Any]]:
        """Return the mails that the provider accepted for an address."""
        return [mail for mail in self.outreach.mails() if mail["recipient"] == address]

    async def is_next_mail_sent(self, mailed: Mailed) -> bool:
        """Return whether the second step goes out now that every draft is approved."""
        await self.send_drafts()
        return len((await self.outreach.get("/drafts", leadId=mailed.lead_id, status="sent"))["items"]) > 1

    async def receive(self, path: str, *drafts: Mailed, message_id: bytes = b"") -> dict[str, Any]:
        """Post a message to the inbound webhook, as an answer to these mails, and return the receipt."""
        raw = read_input(path)
        raw = re.sub(rb"(?m)^Message-ID: .*$", b"Message-ID: " + message_id, raw) if message_id else raw
        for mark, draft in zip((b"@@DRAFT@@", b"@@DRAFT2@@"), drafts, strict=False):
            raw = raw.replace(mark, draft.draft_id.encode())
        headers = {"Content-Type": "message/rfc822"}
        async with httpx.AsyncClient(timeout=30) as http:
            response = await http.post(self.outreach.inbound_url, content=raw, headers=headers)
        assert response.status_code == 200, response.text
        await self.outreach.run_jobs()
        receipt: dict[str, Any] = response.json()
        return receipt

    async def find_reply(self, path: str) -> dict[str, Any]:
        """Return the one stored reply with the Message-ID of a file."""
        message_id = email.message_from_bytes(read_input(path))["Message-ID"]
        replies = (await self.outreach.get("/replies", limit="200"))["items"]
        found: list[dict[str, Any]] = [reply for reply in replies if reply["messageId"] == message_id]
        assert len(found) == 1, f"{len(found)} replies are stored for {path}"
        return found[0]

    async def push(self, body: object) -> None:
        """Push an event to the webhook as the provider does, in JSON or (a text) as a form, and let it act."""
        is_form = isinstance(body, str)
        content = body if isinstance(body, str) else json.dumps(body)
        headers = {"Content-Type": "application/x-www-form-urlencoded" if is_form else "application/json"}
        async with httpx.AsyncClient(timeout=30) as http:
            response = await http.post(self.outreach.webhook_url, content=content, headers=headers, auth=self.auth)
        assert response.status_code == 200, response.text
        await self.outreach.run_jobs()

    async def suppression(self, address: str) -> str | None:
        """Return why an address is suppressed, or None when it is not."""
        items = (await self.outreach.get("/suppressions", value=address))["items"]
        return items[0]["reason"] if items else None

    async def state(self, mailed: Mailed) -> dict[str, Any]:
        """Return the status of a lead and of its enrollment, and why its address is suppressed."""
        (enrollment,) = (await self.outreach.get("/enrollments", leadId=mailed.lead_id))["items"]
        lead = await self.outreach.get(f"/leads/{mailed.lead_id}")
        return {
            "leadStatus": lead["status"],
            "enrollment": enrollment["status"],
            "pauseReason": enrollment["pauseReason"],
            "suppressed": await self.suppression(mailed.address),
        }


Expected = dict[str, object]
"""What each field of a result must be: a value, a set of values one of which it must be, or a condition."""


def is_not(*values: object) -> Callable[[object], bool]:
    """Return the condition to be none of these values."""
    return lambda found: found not in values


def contains(*texts: str) -> Callable[[object], bool]:
    """Return the condition to contain each of these texts."""
    return lambda found: all(text in str(found) for text in texts)


def assert_result(found: dict[str, Any], expected: Expected) -> None:
    """Compare the expected fields."""
    wrong = {name: found[name] for name, value in expected.items() if not _matches(found[name], value)}
    assert wrong == {}, found


def _matches(found: Any, value: object) -> bool:
    if callable(value):
        return bool(value(found))
    return found in value if isinstance(value, set) else found == value


@pytest.fixture
async def trial(outreach: Outreach, imports: Imports, services: Services) -> Trial:
    """Make a workspace for a trial; its business time is a Monday at 09:00 in Johannesburg."""
    made = Trial(outreach, imports, services)
    made.set_time(MONDAY)
    async with transaction(services.pool, Scope(workspace_id=outreach.workspace_id)) as session:
        connection = await workspaces.find_connection(session, outreach.workspace_id)
    made.auth = ("everlytic", services.secrets.decrypt(connection.encrypted_webhook_password))
    return made

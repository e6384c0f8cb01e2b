from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.api.sending_workspace import Outreach
from tests.business_clock import business_now

pytestmark = pytest.mark.anyio


async def deliver(outreach: Outreach, mail: dict[str, Any], text: str, headers: str = "") -> httpx.Response:
    """Answer a mail as its recipient through the inbound webhook, without running jobs."""
    raw = (
        "From: Thandi <thandi@lead.example>\r\nTo: ann@acme.example\r\nSubject: Re: One\r\n"
        f"Message-ID: <{abs(hash(text))}@lead.example>\r\n"
        f"In-Reply-To: <{mail['message_id']}@sandbox.everlytic>\r\n{headers}"
        f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    )
    async with httpx.AsyncClient(timeout=30) as http:
        return await http.post(outreach.inbound_url, content=raw.encode(), headers={"Content-Type": "message/rfc822"})


async def reply(outreach: Outreach, mail: dict[str, Any], text: str, headers: str = "") -> httpx.Response:
    """Answer a mail as its recipient, and run the jobs."""
    response = await deliver(outreach, mail, text, headers)
    await outreach.run_jobs()
    return response


async def test_a_human_reply_stops_the_sequence(outreach: Outreach) -> None:
    """A personal reply sets lead and enrollment to replied; the next step is not sent."""
    lead_id, mail = await outreach.send_one()

    response = await reply(outreach, mail, "Sounds interesting, tell me more. Could we meet on Tuesday?")

    assert response.json() == {"stored": True, "duplicate": False, "own": False}
    (enrolled,) = (await outreach.get("/enrollments"))["items"]
    assert enrolled["status"] == "replied"
    assert (await outreach.get(f"/leads/{lead_id}"))["status"] == "Replied"
    await outreach.post("/drafts/approve", {"sequenceId": enrolled["sequenceId"]})
    await outreach.run_jobs()
    assert outreach.mails() == [mail]


async def test_a_reply_is_stored_once(outreach: Outreach) -> None:
    """A second delivery of the same message is answered as a duplicate and stores nothing."""
    _, mail = await outreach.send_one()
    await reply(outreach, mail, "Yes please")

    response = await reply(outreach, mail, "Yes please")

    assert response.json() == {"stored": True, "duplicate": True, "own": False}
    assert len((await outreach.get("/replies"))["items"]) == 1


async def test_a_reply_that_unsubscribes(outreach: Outreach) -> None:
    """'Please remove me' suppresses the address and unsubscribes the lead."""
    lead_id, mail = await outreach.send_one()

    await reply(outreach, mail, "Please remove me from your list.")

    assert (await outreach.get(f"/leads/{lead_id}"))["status"] == "Unsubscribed"
    (suppression,) = (await outreach.get("/suppressions"))["items"]
    assert (suppression["value"], suppression["reason"]) == ("thandi@lead.example", "unsubscribed")


async def test_an_absence_pauses(outreach: Outreach) -> None:
    """An automatic out-of-office reply pauses the enrollment until the return date and does not count as a reply."""
    lead_id, mail = await outreach.send_one()

    back = business_now().date() + timedelta(days=10)
    text = f"I am out of the office until {back:%-d %B %Y}."

    await reply(outreach, mail, text, headers="Auto-Submitted: auto-replied\r\n")

    (enrolled,) = (await outreach.get("/enrollments"))["items"]
    assert (enrolled["status"], enrolled["pauseReason"]) == ("paused", "out_of_office")
    midnight = datetime.combine(back, time(), ZoneInfo("Africa/Johannesburg"))
    assert datetime.fromisoformat(enrolled["resumeAt"]) == midnight
    assert (await outreach.get(f"/leads/{lead_id}"))["status"] == "Contacted"


async def test_a_message_without_a_sender_is_rejected(outreach: Outreach) -> None:
    """A message without a sender is answered with a problem and not stored."""
    async with httpx.AsyncClient(timeout=30) as http:
        response = await http.post(outreach.inbound_url, content=b"\x00\xff not a mail")

    assert response.status_code == 422
    assert "no From address" in response.json()["detail"]
    assert (await outreach.get("/replies"))["items"] == []


async def ids_of(outreach: Outreach, **query: str) -> list[str]:
    """Return the ids of the replies that a query returns, in order."""
    return [one["id"] for one in (await outreach.get("/replies", **query))["items"]]


async def test_replies_are_filtered(outreach: Outreach) -> None:
    """Each filter returns exactly the replies that match, and a single reply has the fields of the list."""
    lead_id, mail = await outreach.send_one()
    await reply(outreach, mail, "I am out of the office.", headers="Auto-Submitted: auto-replied\r\n")
    await reply(outreach, mail, "Please remove me from your list.")
    last, first = (await outreach.get("/replies"))["items"]
    both = [last["id"], first["id"]]
    (enrolled,) = (await outreach.get("/enrollments"))["items"]
    assert (first["isAutomatic"], last["intent"]) == (True, "unsubscribe")

    assert await ids_of(outreach, sort="receivedAt") == both[::-1]
    for name, value in (
        ("leadId", lead_id),
        ("enrollmentId", enrolled["id"]),
        ("sequenceId", enrolled["sequenceId"]),
        ("since", first["receivedAt"]),
    ):
        assert await ids_of(outreach, **{name: value}) == both, name
    for name in ("leadId", "enrollmentId", "sequenceId"):
        assert await ids_of(outreach, **{name: str(UUID(int=0))}) == []
    assert await ids_of(outreach, intent="unsubscribe") == both[:1]
    assert await ids_of(outreach, isAutomatic="true") == both[1:]
    assert await ids_of(outreach, since=last["receivedAt"]) == both[:1]
    assert await ids_of(outreach, until=last["receivedAt"]) == both[1:]
    assert await outreach.get(f"/replies/{both[0]}") == last
    assert (await outreach.client.get(f"{outreach.path}/replies/{UUID(int=0)}")).status_code == 404


@pytest.mark.parametrize(
    "query", [{"intent": "love"}, {"isAutomatic": "perhaps"}, {"since": "2026-01-01T00:00:00"}, {"sort": "-text"}]
)
async def test_invalid_filters(outreach: Outreach, query: dict[str, str]) -> None:
    """An unknown filter or value, and a time without a zone, are rejected with the name of the field."""
    response = await outreach.client.get(f"{outreach.path}/replies", params=query)
    assert response.status_code == 422
    assert response.json()["errors"][0]["location"] == ["query", *query]

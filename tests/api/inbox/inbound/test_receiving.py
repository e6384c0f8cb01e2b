from typing import Any

import httpx
import pytest

from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio

STORED, DUPLICATE, OWN = (
    {"stored": True, "duplicate": False, "own": False},
    {"stored": True, "duplicate": True, "own": False},
    {"stored": False, "duplicate": False, "own": True},
)
REPLIES = "replies@acme.example"


async def post(outreach: Outreach, **fields: Any) -> dict[str, Any]:
    """Post a message as JSON to the workspace's inbound webhook, and run the jobs."""
    fields = {"from": "thandi@lead.example", "subject": "Re: One", "text": "Yes please", **fields}
    async with httpx.AsyncClient(timeout=30) as http:
        response = await http.post(outreach.inbound_url, json=fields)
    assert response.status_code == 200, response.text
    await outreach.run_jobs()
    answer: dict[str, Any] = response.json()
    return answer


async def replies(outreach: Outreach) -> list[dict[str, Any]]:
    """Return the workspace's replies, oldest first."""
    items: list[dict[str, Any]] = (await outreach.get("/replies", sort="receivedAt"))["items"]
    return items


async def answer_to(outreach: Outreach, address: str) -> None:
    """Set a reply address for the workspace."""
    response = await outreach.client.patch(outreach.path, json={"replyToEmail": address})
    assert response.status_code == 200, response.text


async def test_a_posted_reply_stops_the_sequence(outreach: Outreach) -> None:
    """A reply posted as JSON stops the sequence like a raw one."""
    lead_id, mail = await outreach.send_one()
    assert await post(outreach, inReplyTo=f"<{mail['message_id']}@sandbox.everlytic>", messageId="<1@x>") == STORED
    assert await post(outreach, inReplyTo=f"<{mail['message_id']}@sandbox.everlytic>", messageId="<1@x>") == DUPLICATE
    (reply,) = await replies(outreach)
    assert (reply["leadId"], reply["draftId"]) == (lead_id, mail["message_id"])
    assert (await outreach.get(f"/leads/{lead_id}"))["status"] == "Replied"
    (enrollment,) = (await outreach.get("/enrollments"))["items"]
    assert enrollment["status"] == "replied"
    await outreach.post("/drafts/approve", {"sequenceId": enrollment["sequenceId"]})
    await outreach.run_jobs()
    assert outreach.mails() == [mail]


async def test_each_mail_has_its_own_reply_address(outreach: Outreach) -> None:
    """A reply without references from an unknown sender is matched by the address that it was sent to."""
    await answer_to(outreach, REPLIES)
    lead_id, mail = await outreach.send_one()
    assert mail["reply_to"].startswith("replies+")
    assert mail["reply_to"].endswith("@acme.example")

    assert await post(outreach, **{"from": "colleague@lead.example", "to": mail["reply_to"].upper()}) == STORED

    (reply,) = await replies(outreach)
    assert (reply["leadId"], reply["draftId"]) == (lead_id, mail["message_id"])


async def test_without_a_reply_address(outreach: Outreach) -> None:
    """Replies go to the sender; without references they are matched by sender, and stored if that is unknown."""
    lead_id, mail = await outreach.send_one()
    assert mail["reply_to"] == "ann@acme.example"
    await post(outreach)
    await post(outreach, **{"from": "stranger@lead.example"})
    known, unknown = await replies(outreach)
    assert (known["leadId"], unknown["leadId"]) == (lead_id, None)


async def test_references_come_before_address_and_sender(outreach: Outreach) -> None:
    """References are matched before the reply address, and that before the sender."""
    await answer_to(outreach, REPLIES)
    _, first = await outreach.send_one("first@lead.example")
    sequence = await outreach.add_sequence("Other")
    for email in ("second@lead.example", "third@lead.example"):
        await outreach.enroll(sequence, await outreach.add_lead(email))
    by_recipient = {mail["recipient"]: mail for mail in outreach.mails()}
    second, third = by_recipient["second@lead.example"], by_recipient["third@lead.example"]

    writes = {"from": "third@lead.example"}
    thread = f"<{first['message_id']}@sandbox.everlytic>"

    await post(outreach, **writes, to=second["reply_to"], inReplyTo=thread, text="By thread")
    await post(outreach, **writes, to=second["reply_to"], text="By address")
    await post(outreach, **writes, text="By sender")

    answered = [reply["draftId"] for reply in await replies(outreach)]
    assert answered == [first["message_id"], second["message_id"], third["message_id"]]


async def test_another_tenants_mail_is_not_answered(outreach: Outreach, app_client: httpx.AsyncClient) -> None:
    """The reply address and the id of another workspace's mail match nothing."""
    await answer_to(outreach, REPLIES)
    _, mail = await outreach.send_one()
    sender = {"defaultFromName": "Bob", "defaultFromEmail": "bob@other.example"}
    other = (await app_client.post("/api/workspaces", json={"name": "Other", **sender})).json()["id"]
    connection = {
        "transactionalUrl": f"{outreach.sandbox.url}/transactional/email/v1",
        "tenantUrl": f"{outreach.sandbox.url}/api/2.0",
        "username": outreach.username,
        "apiKey": f"sandbox-key-{outreach.username}",
    }
    connected = await app_client.put(f"/api/workspaces/{other}/everlytic-connection", json=connection)
    async with httpx.AsyncClient() as http:
        fields = {"from": "thandi@lead.example", "to": mail["reply_to"], "inReplyTo": f"<{mail['message_id']}@x>"}
        assert (await http.post(connected.json()["inboundUrl"], json=fields)).json() == STORED
    (reply,) = (await app_client.get(f"/api/workspaces/{other}/replies")).json()["items"]
    assert (reply["leadId"], reply["draftId"]) == (None, None)
    assert await replies(outreach) == []


async def test_our_own_mail_is_no_reply(outreach: Outreach) -> None:
    """A copy of a mail of the workspace is ignored, whether its sender or its headers show it."""
    await answer_to(outreach, REPLIES)
    _, mail = await outreach.send_one()
    link = f"<{outreach.inbound_url.partition('/api/')[0]}/u/token>"
    for fields in (
        {"from": "Ann <Ann@acme.example>"},
        {"from": mail["reply_to"]},
        {"from": REPLIES},
        {"from": "x@y.example", "headers": {"X-SalesMatter-Draft": mail["message_id"]}},
        {"from": "x@y.example", "headers": {"list-unsubscribe": f"{link}, <mailto:x@y.example>"}},
    ):
        assert await post(outreach, **fields) == OWN, fields
    assert await replies(outreach) == []
    assert await post(outreach, headers={"List-Unsubscribe": "<https://lead.example/u/token>"}) == STORED


async def test_a_report_that_contains_our_mail(outreach: Outreach) -> None:
    """A bounce that contains our mail is not our own mail, and is matched by the returned ids."""
    lead_id, mail = await outreach.send_one()
    raw = (
        "From: MAILER-DAEMON@lead.example\nSubject: Undelivered\nAuto-Submitted: auto-replied\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        "--b\n\nNo such user.\n--b\nContent-Type: message/delivery-status\n\nAction: failed\n"
        f"--b\nContent-Type: message/rfc822\n\nFrom: ann@acme.example\nX-SalesMatter-Draft: {mail['message_id']}\n\n"
        "Hello\n--b--\n"
    )
    assert await post(outreach, raw=raw) == STORED
    (reply,) = await replies(outreach)
    assert (reply["leadId"], reply["draftId"], reply["isAutomatic"]) == (lead_id, mail["message_id"], True)
    assert reply["text"].strip() == "No such user."


async def test_an_html_reply_that_quotes_our_footer(outreach: Outreach) -> None:
    """A friendly HTML reply that quotes our footer does not unsubscribe the lead."""
    lead_id, mail = await outreach.send_one()
    html = f"<div>Sounds good, call me on Monday.</div><blockquote type='cite'>{mail['html']}</blockquote>"
    assert "Unsubscribe" in html
    await post(outreach, text="", html=html)
    (reply,) = await replies(outreach)
    assert reply["text"].startswith("Sounds good, call me on Monday.")
    assert (await outreach.get(f"/leads/{lead_id}"))["status"] == "Replied"
    assert (await outreach.get("/suppressions"))["items"] == []


@pytest.mark.parametrize(
    ("content", "content_type", "says"),
    [
        (b"{", "application/json", "is not valid JSON"),
        (b'{"text": "x"}', "application/json", "body.from: is missing"),
        (b"from=a%40b.example", "application/x-www-form-urlencoded", "Forms are not supported"),
        (b"", "message/rfc822", "no From address"),
    ],
)
async def test_invalid_messages_are_rejected(outreach: Outreach, content: bytes, content_type: str, says: str) -> None:
    """An invalid message is answered with a problem that says why, and nothing is stored."""
    async with httpx.AsyncClient() as http:
        response = await http.post(outreach.inbound_url, content=content, headers={"Content-Type": content_type})
    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
    assert says in response.json()["detail"]
    assert await replies(outreach) == []

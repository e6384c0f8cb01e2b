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
    """Post a message as JSON to the workspace's inbound address, and let it act."""
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
    """Have answers of the workspace arrive at an address of their own."""
    response = await outreach.client.patch(outreach.path, json={"replyToEmail": address})
    assert response.status_code == 200, response.text


async def test_a_posted_answer_acts(outreach: Outreach) -> None:
    """An answer that a service posts as JSON stops the sequence, as a raw one does."""
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


async def test_each_mail_has_an_address_of_its_own(outreach: Outreach) -> None:
    """An answer that names no mail, from an address nobody knows, is known by the address it was sent to."""
    await answer_to(outreach, REPLIES)
    lead_id, mail = await outreach.send_one()
    assert mail["reply_to"].startswith("replies+")
    assert mail["reply_to"].endswith("@acme.example")

    assert await post(outreach, **{"from": "colleague@lead.example", "to": mail["reply_to"].upper()}) == STORED

    (reply,) = await replies(outreach)
    assert (reply["leadId"], reply["draftId"]) == (lead_id, mail["message_id"])


async def test_without_an_address_for_answers(outreach: Outreach) -> None:
    """Answers go to the sender; one that names no mail is known by who wrote it, and one of a stranger is kept."""
    lead_id, mail = await outreach.send_one()
    assert mail["reply_to"] == "ann@acme.example"
    await post(outreach)
    await post(outreach, **{"from": "stranger@lead.example"})
    known, unknown = await replies(outreach)
    assert (known["leadId"], unknown["leadId"]) == (lead_id, None)


async def test_what_is_named_outranks_who_wrote(outreach: Outreach) -> None:
    """The thread decides before the address it was sent to, that before the sender."""
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
    """The address and the id of another workspace's mail say nothing here."""
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


async def test_our_own_mail_is_no_answer(outreach: Outreach) -> None:
    """A copy of what the workspace wrote or sent is left alone, however it is known."""
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


async def test_a_report_that_holds_our_mail(outreach: Outreach) -> None:
    """A bounce brings our mail back within it: it is no copy of ours, and is matched by what it returns."""
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


async def test_html_alone_with_our_footer_below(outreach: Outreach) -> None:
    """A friendly answer in HTML that quotes our footer does not unsubscribe who wrote it."""
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
async def test_what_cannot_be_read(outreach: Outreach, content: bytes, content_type: str, says: str) -> None:
    """What is no message is a problem that says why, and nothing is stored."""
    async with httpx.AsyncClient() as http:
        response = await http.post(outreach.inbound_url, content=content, headers={"Content-Type": content_type})
    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
    assert says in response.json()["detail"]
    assert await replies(outreach) == []

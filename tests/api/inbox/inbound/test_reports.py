"""Reports of mail systems that come to the mailbox, also forged ones, and what they do to leads."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from api.inbox.inbound.service import HIDDEN_AUTHOR
from api.inbox.replies.reports import FORGEABLE, NO_MATCH, OTHER_RECIPIENT, REFUSED
from api.inbox.replies.service import DEPARTED, UNMATCHED_NO
from tests.api.inbox.inbound.test_receiving import STORED, post, replies
from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio

MIA = "mia@lager.example"
HEAD = 'From: postmaster@lager.example\nContent-Type: multipart/report; boundary="b"\n\n--b\n\nA report.\n--b\n'


def failed(address: str, status: str, draft_id: str = "") -> str:
    """Return a delivery status that an address failed, and the id of the returned mail, if given."""
    fields = f"Reporting-MTA: dns; x\n\nFinal-Recipient: rfc822; {address}\nAction: failed\nStatus: {status}"
    return f"{HEAD}Content-Type: message/delivery-status\n\n{fields}\n{return_headers(draft_id)}--b--\n"


def complaint(address: str, draft_id: str = "") -> str:
    """Return a report that a recipient complained, and the id of the returned mail, if given."""
    fields = f"Feedback-Type: abuse\nOriginal-Rcpt-To: {address}"
    return f"{HEAD}Content-Type: message/feedback-report\n\n{fields}\n{return_headers(draft_id)}--b--\n"


def return_headers(draft_id: str) -> str:
    """Return the part with the headers of the mail with this id; empty without an id."""
    return f"--b\nContent-Type: text/rfc822-headers\n\nX-SalesMatter-Draft: {draft_id}\n" if draft_id else ""


@dataclass(frozen=True, slots=True)
class State:
    """What the API shows after a message: the reply, the enrollment and the suppressions."""

    reply: dict[str, Any]
    enrollment: str
    suppressed: dict[str, str]


async def receive(outreach: Outreach, **fields: Any) -> State:
    """Post a message, and return what the API shows."""
    assert await post(outreach, **fields) == STORED
    reply = (await replies(outreach))[-1]
    enrollment = (await outreach.get("/enrollments"))["items"][0]
    listed = (await outreach.get("/suppressions"))["items"]
    return State(reply, enrollment["status"], {item["value"]: item["reason"] for item in listed})


async def test_a_bounce_of_our_mail(outreach: Outreach) -> None:
    """A report that returns the id of our mail suppresses the address that failed, whatever its spelling."""
    lead_id, mail = await outreach.send_one(MIA)
    state = await receive(outreach, raw=failed("Mia@lager.example", "5.1.1", mail["message_id"]))
    assert (state.reply["leadId"], state.reply["intent"], state.reply["needsReview"]) == (lead_id, "bounce", False)
    assert (state.enrollment, state.suppressed) == ("paused", {MIA: "hard_bounce"})
    assert (await outreach.get(f"/leads/{lead_id}"))["status"] == "Contacted"


@pytest.mark.parametrize("is_named", [False, True])
@pytest.mark.parametrize("header", ["References", "In-Reply-To"])
@pytest.mark.parametrize(
    ("raw", "reason", "sequence"),
    [
        (failed(MIA, "5.1.1"), "hard_bounce", "Active"),
        (failed(MIA, "5.7.1"), None, "Paused"),
        (complaint(MIA), "complaint", "Active"),
    ],
)
async def test_a_report_acts_by_the_id_of_our_mail(
    outreach: Outreach, raw: str, reason: str | None, sequence: str, header: str, *, is_named: bool
) -> None:
    """A report that names a mailed address and an id of ours acts; with an id that is not ours it only asks a user."""
    lead_id, mail = await outreach.send_one(MIA)
    draft_id = mail["message_id"] if is_named else str(uuid4())
    state = await receive(outreach, raw=f"{header}: <{draft_id}@acme.example>\n{raw}")
    statuses = [item["status"] for item in (await outreach.get("/sequences"))["items"]]
    assert (state.reply["leadId"], state.reply["report"]["namesMail"]) == (lead_id, is_named)
    assert state.suppressed == ({MIA: reason} if is_named and reason else {})
    assert (statuses, len(await events(outreach))) == ([sequence if is_named else "Active"], is_named)
    if not is_named:
        is_refusal = reason is None
        assert state.reply["reviewReason"] == (REFUSED if is_refusal else FORGEABLE)
        assert state.enrollment == ("active" if is_refusal else "paused")


async def test_forged_reports_stop_nothing(outreach: Outreach) -> None:
    """Reports about a lead that was never mailed suppress nothing, and need review."""
    await outreach.send_one(MIA)
    await outreach.add_lead("victim@lead.example")
    for raw in (failed("victim@lead.example", "5.1.1"), complaint("victim@lead.example")):
        state = await receive(outreach, raw=raw)
        assert (state.reply["leadId"], state.reply["reviewReason"]) == (None, NO_MATCH)
        assert (state.enrollment, state.suppressed) == ("active", {})


async def test_a_report_that_names_another_recipient(outreach: Outreach) -> None:
    """A report about our mail that names another address pauses the lead and suppresses neither address."""
    lead_id, mail = await outreach.send_one(MIA)
    state = await receive(outreach, raw=failed("victim@lead.example", "5.1.1", mail["message_id"]))
    assert (state.reply["leadId"], state.reply["reviewReason"]) == (lead_id, OTHER_RECIPIENT)
    assert (state.enrollment, state.suppressed) == ("paused", {})


async def test_a_complaint_about_our_mail(outreach: Outreach) -> None:
    """A complaint suppresses the address that was mailed, and the mail system that reports it is not suppressed."""
    lead_id, mail = await outreach.send_one(MIA)
    state = await receive(outreach, raw=complaint(MIA, mail["message_id"]))
    assert (state.enrollment, state.suppressed) == ("unsubscribed", {MIA: "complaint"})
    assert (await outreach.get(f"/leads/{lead_id}"))["status"] == "Unsubscribed"


async def test_a_text_bounce_as_json(outreach: Outreach) -> None:
    """A bounce in words, posted as JSON, suppresses the address that failed."""
    _, mail = await outreach.send_one(MIA)
    text = f"Hi. This is the qmail-send program at x.\n\n<{MIA}>:\nSorry, no mailbox here by that name. (#5.1.1)\n"
    text += f"\n--- Below this line is a copy of the message.\n\nMessage-ID: <{mail['message_id']}@acme.example>\n"
    state = await receive(outreach, text=text, **{"from": "MAILER-DAEMON@x.example"})
    assert (state.enrollment, state.suppressed) == ("paused", {MIA: "hard_bounce"})
    assert state.reply["report"]["recipients"][0]["status"] == "5.1.1"


async def test_an_answer_to_an_invitation(outreach: Outreach) -> None:
    """An accepted invitation is automatic and stops nothing; a no in its comment is heard."""
    _, mail = await outreach.send_one(MIA)
    head = f"From: {MIA}\nIn-Reply-To: <{mail['message_id']}@x>\nContent-Type: multipart/alternative; boundary=b\n\n"
    for comment, enrollment in (("Accepted", "active"), ("Please unsubscribe me.", "unsubscribed")):
        calendar = "--b\nContent-Type: text/calendar; method=REPLY\n\nBEGIN:VCALENDAR\n--b--\n"
        raw = f"{head}--b\nContent-Type: text/plain\n\n{comment}\n{calendar}"
        state = await receive(outreach, raw=raw)
        assert (state.reply["isAutomatic"], state.reply["report"]["kind"]) == (True, "calendar")
        assert state.enrollment == enrollment


async def test_a_departure_after_an_absence(outreach: Outreach) -> None:
    """A lead that was away and has left is not resumed on the day of the return."""
    _, mail = await outreach.send_one(MIA)
    usual = {"from": MIA, "headers": {"Auto-Submitted": "auto-replied"}, "inReplyTo": f"<{mail['message_id']}@x>"}
    await receive(outreach, **usual, subject="Out of office", text="I am out of the office until 2099-01-05.")
    state = await receive(outreach, **usual, subject="Automatic reply", text="Mia no longer works for Lager.")
    assert (state.enrollment, state.reply["needsReview"], state.reply["reviewReason"]) == ("paused", True, DEPARTED)
    assert (await outreach.get("/enrollments"))["items"][0]["resumeAt"] is None


async def test_an_author_hidden_behind_an_own_address(outreach: Outreach) -> None:
    """A no in the thread that a group delivers without naming its author stops the address that was mailed."""
    _, mail = await outreach.send_one(MIA)
    fields = {"from": "Sales <ann@acme.example>", "to": "ann@acme.example", "inReplyTo": f"<{mail['message_id']}@x>"}
    state = await receive(outreach, **fields, text="Please unsubscribe me.")
    assert (state.reply["needsReview"], state.reply["reviewReason"]) == (True, HIDDEN_AUTHOR)
    assert state.suppressed == {MIA: "unsubscribed"}


async def test_what_users_write_to_leads_is_no_reply(outreach: Outreach) -> None:
    """A user's own message in the thread to the lead is not stored."""
    _, mail = await outreach.send_one(MIA)
    fields = {"from": "ann@acme.example", "to": f"{MIA}, ann@acme.example", "inReplyTo": f"<{mail['message_id']}@x>"}
    assert (await post(outreach, **fields, text="Please unsubscribe me."))["own"] is True


async def test_a_no_that_names_leads(outreach: Outreach) -> None:
    """A no from an unknown address suppresses it and the lead that it names, but no address that is no lead."""
    await outreach.send_one(MIA)
    text = f"Please stop mailing {MIA} and boss@lager.example."
    state = await receive(outreach, text=text, subject="Stop", **{"from": "home@private.example"})
    assert state.suppressed == {MIA: "unsubscribed", "home@private.example": "unsubscribed"}
    assert (state.enrollment, state.reply["reviewReason"]) == ("unsubscribed", UNMATCHED_NO)


async def events(outreach: Outreach) -> list[tuple[str, str | None]]:
    """Return type and bounce kind of the bounces and complaints that are stored."""
    stored = (await outreach.get("/events"))["items"]
    return [(event["type"], event["bounceKind"]) for event in stored if event["type"] in {"bounced", "complained"}]


@pytest.mark.parametrize(
    ("status", "kind"),
    [("5.1.1", "address"), ("5.2.2", "mailbox_full"), ("5.7.1", "policy"), ("5.7.26", "authentication")],
)
async def test_a_bounce_by_mail_is_an_event(outreach: Outreach, status: str, kind: str) -> None:
    """A bounce that comes by mail, however often, is one event of its mail, as one that Everlytic reports."""
    _, mail = await outreach.send_one(MIA)
    for number in range(2):
        await receive(outreach, raw=f"Message-ID: <{number}@x.example>\n{failed(MIA, status, mail['message_id'])}")
    assert await events(outreach) == [("bounced", kind)]


@pytest.mark.fences("api.inbox.replies.repository:_ADD_REPORTED_EVENT")
async def test_a_report_after_the_event(outreach: Outreach) -> None:
    """What Everlytic has told already adds no event when it comes by mail as well."""
    _, mail = await outreach.send_one(MIA)
    await outreach.hear(mail, "complaint")
    await receive(outreach, raw=complaint(MIA, mail["message_id"]))
    assert await events(outreach) == [("complained", None)]


async def test_a_complaint_by_mail_is_an_event(outreach: Outreach) -> None:
    """A complaint that comes by mail is an event, which guards and figures count."""
    _, mail = await outreach.send_one(MIA)
    await receive(outreach, raw=complaint(MIA, mail["message_id"]))
    assert await events(outreach) == [("complained", None)]


@pytest.mark.parametrize(
    "raw", [failed("victim@lead.example", "5.1.1"), failed(MIA, "5.1.1").replace("failed", "delayed")]
)
async def test_what_is_no_bounce_of_a_mail(outreach: Outreach, raw: str) -> None:
    """A report about an address that was not mailed, and a delay, add no event."""
    await outreach.send_one(MIA)
    await receive(outreach, raw=raw)
    assert await events(outreach) == []


@pytest.mark.parametrize(
    ("status", "is_paused"), [("5.7.1", True), ("5.7.26", True), ("4.7.1", False), ("5.1.1", False), ("5.2.2", False)]
)
async def test_refusals_by_mail_pause_all_sequences(outreach: Outreach, status: str, *, is_paused: bool) -> None:
    """A refusal by policy or authentication pauses every sequence with the reason; other bounces pause none."""
    other_id = await outreach.add_sequence("Other")
    _, mail = await outreach.send_one(MIA)
    await receive(outreach, raw=failed(MIA, status, mail["message_id"]))
    sequences = (await outreach.get("/sequences"))["items"]
    assert [sequence["status"] for sequence in sequences] == ["Paused" if is_paused else "Active"] * 2
    reason = (await outreach.get(f"/sequences/{other_id}"))["pauseReason"]
    assert (reason or "").startswith("a recipient's mail server") is is_paused


async def test_guards_count_complaints_by_mail(outreach: Outreach) -> None:
    """Three complaints on a day pause the sequence, whether Everlytic reports them or the mailbox."""
    sequence_id = await outreach.add_sequence("One")
    addresses = [f"{name}@lager.example" for name in "abc"]
    await outreach.enroll(sequence_id, *[await outreach.add_lead(address) for address in addresses])
    await outreach.run_jobs()
    for mail in outreach.mails():
        await receive(outreach, raw=complaint(mail["recipient"], mail["message_id"]))
    assert (await outreach.get(f"/sequences/{sequence_id}"))["status"] == "Paused"

import base64
import time

import pytest

from email_text.bounded_mime import parse_message
from email_text.reports import MAX_RECIPIENTS, Report, ReportKind, read_report

DRAFT = "018f0000-0000-7000-8000-000000000001"
RETURNED = f"From: ann@acme.example\nX-SalesMatter-Draft: {DRAFT}\nMessage-ID: <{DRAFT}@acme.example>\n\nHello"


def read(*parts: tuple[str, str], kind: str = "delivery-status", content_type: str = "") -> Report | None:
    """Return the report of a message with these parts, each a content type with headers and a body."""
    head = content_type or f"multipart/report; report-type={kind}"
    body = "".join(f"--b\nContent-Type: {type_}\n\n{text}\n" for type_, text in parts)
    return read_report(
        parse_message(f'From: x@y.example\nContent-Type: {head}; boundary="b"\n\n{body}--b--\n'.encode())
    )


def status(*blocks: str, type_: str = "message/delivery-status") -> tuple[str, str]:
    """Return the part of a delivery status with these blocks of recipients."""
    return type_, "\n\n".join(("Reporting-MTA: dns; mx.example", *blocks)) + "\n"


TO_MIA = "Final-Recipient: rfc822; mia@lager.example\n"
FORWARDED = "Final-Recipient: rfc822; new@x.example\nOriginal-Recipient: rfc822; mia@lager.example\n"


@pytest.mark.parametrize(
    ("fields", "kind", "addresses", "action", "code"),
    [
        (f"{TO_MIA}Action: failed\nStatus: 5.1.1", "bounce", 1, "failed", "5.1.1"),
        ("Final-Recipient: rfc822;<Mia@lager.example>\nAction: FAILED (x)", "bounce", 1, "failed", ""),
        ("Final-Recipient: mia@lager.example\nStatus: 5.1.1 (unknown)", "bounce", 1, "failed", "5.1.1"),
        (f"{TO_MIA}Action: delayed\nStatus: 4.4.7", "delay", 1, "delayed", "4.4.7"),
        (f"{TO_MIA}Status: 4.4.7", "delay", 1, "delayed", "4.4.7"),
        (f"{TO_MIA}Action: relayed\nStatus: 2.0.0", "delivery", 1, "relayed", "2.0.0"),
        (f"{TO_MIA}Action: expanded", "delivery", 1, "expanded", ""),
        ("Final-Recipient: x400; /c=za/\nAction: failed\nStatus: 5.1.1", "bounce", 0, "failed", "5.1.1"),
        ("Final-Recipient: rfc822;\n mia@lager.example\nAction: failed", "bounce", 1, "failed", ""),
        (f"{FORWARDED}Action: failed", "bounce", 2, "failed", ""),
        ("Action: failed", "bounce", 0, "failed", ""),
    ],
)
def test_a_delivery_status(fields: str, kind: str, addresses: int, action: str, code: str) -> None:
    """Action and status decide the kind, and the recipient is read with or without an address type."""
    report = read(("text/plain", "Sorry"), status(fields), ("message/rfc822", RETURNED))
    assert report is not None
    (recipient,) = report.recipients
    assert (report.kind.value, recipient.action, recipient.status) == (kind, action, code)
    assert len(recipient.addresses) == addresses
    assert not recipient.addresses or "mia@lager.example" in recipient.addresses
    assert report.message_ids == (DRAFT, f"<{DRAFT}@acme.example>")


def test_one_failure_among_several_recipients() -> None:
    """A report that one of several recipients failed is a bounce, with what happened to each."""
    blocks = (
        "Final-Recipient: rfc822; a@x.example\nAction: relayed",
        "Final-Recipient: rfc822; b@x.example\nAction: failed",
    )
    report = read(status(*blocks))
    assert report is not None
    assert report.kind is ReportKind.BOUNCE
    actions = {recipient.addresses: recipient.action for recipient in report.recipients}
    assert actions == {("a@x.example",): "relayed", ("b@x.example",): "failed"}


@pytest.mark.parametrize("count", [MAX_RECIPIENTS - 1, MAX_RECIPIENTS, MAX_RECIPIENTS + 1])
def test_how_many_recipients_are_read(count: int) -> None:
    """At most fifty recipients are read."""
    report = read(status(*(f"Final-Recipient: rfc822; a{number}@x.example\nAction: failed" for number in range(count))))
    assert report is not None
    assert len(report.recipients) == min(count, MAX_RECIPIENTS)


def test_other_forms_of_a_delivery_status() -> None:
    """A status in Base64, in the international form, in a nested report, or in a plain part of a report is read."""
    fields = "Final-Recipient: utf-8; m\\x{FC}ller@lager.example\nAction: failed\nStatus: 5.1.1\n"
    coded = base64.b64encode(f"Reporting-MTA: dns; x\n\n{fields}".encode()).decode()
    nested = f"--c\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n{fields}\n--c--\n"
    for report in (
        read(status(fields, type_="message/global-delivery-status")),
        read(("message/delivery-status\nContent-Transfer-Encoding: base64", coded)),
        read(("multipart/report; boundary=c", nested), ("text/plain", "list footer"), content_type="multipart/mixed"),
        read(("text/plain", fields)),
    ):
        assert report is not None
        assert report.recipients[0].addresses == ("müller@lager.example",)
        assert report.recipients[0].status == "5.1.1"


def test_an_attached_report_is_not_the_message() -> None:
    """A report inside an attached message is not that of the person who forwards it."""
    inner = (
        'Content-Type: multipart/report; boundary="c"\n\n'
        "--c\nContent-Type: message/delivery-status\n\nAction: failed\n--c--\n"
    )
    assert read(("text/plain", "See below"), ("message/rfc822", inner), content_type="multipart/mixed") is None


@pytest.mark.parametrize(
    ("feedback", "kind"),
    [
        ("abuse", ReportKind.COMPLAINT),
        ("Abuse ", ReportKind.COMPLAINT),
        ("fraud", ReportKind.COMPLAINT),
        ("opt-out", ReportKind.COMPLAINT),
        ("opt-out-list", ReportKind.COMPLAINT),
        ("not-spam", ReportKind.FEEDBACK),
        ("auth-failure", ReportKind.FEEDBACK),
        ("other", ReportKind.FEEDBACK),
    ],
)
def test_feedback(feedback: str, kind: ReportKind) -> None:
    """The type of feedback decides whether it is a complaint; the recipient is the one of our message."""
    fields = f"Feedback-Type: {feedback}\nUser-Agent: x\nVersion: 1\nOriginal-Rcpt-To: <mia@lager.example>\n"
    report = read(("message/feedback-report", fields), ("message/rfc822", RETURNED), kind="feedback-report")
    assert report is not None
    assert (report.kind, report.recipients[0].addresses) == (kind, ("mia@lager.example",))
    assert report.message_ids[0] == DRAFT


def test_feedback_with_a_hidden_recipient() -> None:
    """A complaint without a recipient still names our message."""
    report = read(("message/feedback-report", "Feedback-Type: abuse\n"), ("text/rfc822-headers", RETURNED))
    assert report is not None
    assert (report.recipients[0].addresses, report.message_ids[0]) == ((), DRAFT)


def test_a_read_receipt() -> None:
    """A disposition notification names the message that was displayed or deleted."""
    fields = f"{TO_MIA}Original-Message-ID: <{DRAFT}@x>\nDisposition: manual-action/MDN-sent-manually; deleted\n"
    report = read(("message/disposition-notification", fields), kind="disposition-notification")
    assert report == Report(ReportKind.READ_RECEIPT, (), (f"<{DRAFT}@x>",))


@pytest.mark.parametrize(
    ("type_", "text", "is_answer"),
    [
        ("text/calendar; method=REPLY", "BEGIN:VCALENDAR", True),
        ("text/calendar", "BEGIN:VCALENDAR\nMETHOD:REPLY\nBEGIN:VEVENT", True),
        ("text/calendar; method=COUNTER", "BEGIN:VCALENDAR", True),
        ("text/calendar; method=REQUEST", "BEGIN:VCALENDAR", False),
        ("text/calendar", "BEGIN:VCALENDAR\nMETHOD:REQUEST", False),
        ("text/calendar", "BEGIN:VCALENDAR", False),
    ],
)
def test_a_calendar(type_: str, text: str, *, is_answer: bool) -> None:
    """An answer to an invitation is a report; an invitation is a person's message."""
    report = read(("text/plain", "Accepted"), (type_, text), content_type="multipart/alternative")
    assert report == (Report(ReportKind.CALENDAR) if is_answer else None)


def test_a_person_is_no_report() -> None:
    """A message without report parts is none, whatever its words are."""
    assert read(("text/plain", "Action: failed\nFinal-Recipient: x@y.example"), content_type="multipart/mixed") is None


@pytest.mark.parametrize("piece", ["Action: failed\n", "x: y\n", " folded\n", "a" * 100, "--b\n"])
def test_hostile_reports(piece: str) -> None:
    """A huge report is read in bounded time."""
    started = time.perf_counter()
    read(("message/delivery-status", piece * (2_000_000 // len(piece))), ("message/feedback-report", piece * 10_000))
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize(
    ("head", "subject", "recipient"),
    [
        ("X-HmXmrOriginalRecipient: mia@lager.example\n", "Anything", "mia@lager.example"),
        ("", "complaint about message from 198.51.100.7", "sam@lager.example"),
        ("", "[FBL] Spam report", "sam@lager.example"),
        ("", "Fwd: Counting stock", None),
        ("", "A report about spam", None),
    ],
)
def test_a_junk_report_without_a_feedback_part(head: str, subject: str, recipient: str | None) -> None:
    """A mailbox provider that only attaches the reported mail complains; what a person attaches is no complaint."""
    attached = f"{head}To: sam@lager.example\n{RETURNED}"
    text = f"--b\nContent-Type: message/rfc822\n\n{attached}\n--b--\n"
    head = f'From: x@y.example\nSubject: {subject}\nContent-Type: multipart/mixed; boundary="b"\n\n'
    report = read_report(parse_message(f"{head}{text}".encode()))
    if recipient is None:
        assert report is None
    else:
        assert report is not None
        assert (report.kind, [one.addresses for one in report.recipients]) == (ReportKind.COMPLAINT, [(recipient,)])
        assert DRAFT in report.message_ids

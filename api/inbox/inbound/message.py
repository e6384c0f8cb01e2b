"""Parses an RFC 5322 message into the fields of a reply.

The parser's modern policy is not used, because it raises IndexError, AttributeError and the like for invalid headers of
real mails. Here every header is text, which is decoded if possible.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from itertools import islice
from uuid import UUID

from api.http.errors import Malformed
from domain.reply_address import parse_message_ids
from domain.storable_text import remove_unstorable
from email_text.authors import RawHeaders, Sender, read_sender
from email_text.bodies import extract_message_text
from email_text.bounded_mime import MimeLimitExceeded, parse_message
from email_text.headers import decode_header_text, unfold_header
from email_text.reports import Report, ReportKind, find_returned_ids, read_report
from email_text.text_bounces import read_text_bounce
from email_text.unsubscribe_mails import is_unsubscribe_mail

MAX_HEADERS = 500
MAX_ID_CHARACTERS = 500
UNKNOWN_DAEMON = "mailer-daemon@unknown.invalid"
"""The sender of a report that names none, as some mail systems write them."""

_RECIPIENTS = (
    *("to", "cc", "delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-forwarded-to", "resent-to"),
)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_ID = re.compile(r"<([^<>\s]+)>")
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """A received message; `answered_ids` are the ids of the mails that it may answer, the most reliable first.

    First those in In-Reply-To and References, the latest first; then the one in a delivery report; then those whose
    reply address it was sent to.
    """

    message_id: str
    from_email: str
    subject: str
    text: str
    headers: tuple[tuple[str, str], ...]
    answered_ids: tuple[UUID, ...]
    sender: Sender | None = None
    """What the headers tell about the author; None if only `from_email` is known."""
    report: Report | None = None
    """What a mail system or a mail program reports with the message, if it does."""


def read_message(raw: bytes) -> InboundMessage:
    """Return a message; raises Malformed if it has no sender or nests too deep."""
    try:
        parsed = parse_message(raw)
    except MimeLimitExceeded as error:
        raise Malformed(f"The message {error}.") from error
    text, report = extract_message_text(parsed), read_report(parsed)
    raw_headers = [
        (remove_unstorable(name), unfold_header(value)) for name, value in islice(parsed.raw_items(), MAX_HEADERS)
    ]
    returned_ids = report.message_ids if report else find_returned_ids(parsed)
    return build_message(raw_headers, text, report, returned_ids)


def build_message(
    raw_headers: RawHeaders, text: str, report: Report | None = None, returned_ids: Sequence[str] = ()
) -> InboundMessage:
    """Return the message with these headers and this text, and with the report in its parts, if there is one.

    `returned_ids` are those of the message that a report returns.

    Addresses are read from the headers as they were sent, and only then are encoded words decoded.

    Raises Malformed if it has no sender. A message without an id gets one from its content, so that it is stored once,
    however often and by whatever channel it arrives.
    """
    report = report or read_text_bounce(raw_headers, text)
    sender = read_sender(raw_headers) or (Sender(UNKNOWN_DAEMON) if report else None)
    if sender is None:
        raise Malformed("The message has no From address.")
    headers = [(name, decode_header_text(value)) for name, value in raw_headers]
    subject = _find_header(headers, "subject")
    id_header = _find_header(headers, "message-id")
    match = _ID.search(id_header)
    bare_id = match[1] if match else id_header.strip("<> ")
    # Some services post the id without brackets.
    message_id = f"<{bare_id}>"
    if not bare_id or len(message_id) > MAX_ID_CHARACTERS:
        message_id = f"<{_compute_fingerprint(sender.address, _find_header(headers, 'date'), subject, text)}@no-id>"
    references = reversed(_find_header(headers, "references").split())
    if report is None and is_unsubscribe_mail(headers, subject, text):
        report = Report(ReportKind.UNSUBSCRIBE)
    reported_ids = report.message_ids if report else ()
    texts = (_find_header(headers, "in-reply-to"), *references, *returned_ids, *reported_ids)
    mentioned_ids = [UUID(id_text) for text_with_ids in texts for id_text in _UUID.findall(text_with_ids)]
    addressed_ids = [
        draft_id for name, value in headers if name.lower() in _RECIPIENTS for draft_id in parse_message_ids(value)
    ]
    return InboundMessage(
        message_id=message_id,
        from_email=sender.address,
        subject=subject,
        text=text,
        headers=tuple(headers),
        answered_ids=tuple(dict.fromkeys((*mentioned_ids, *addressed_ids))),
        sender=sender,
        report=report,
    )


def _find_header(headers: Headers, lower_name: str) -> str:
    return next((value.strip() for name, value in headers if name.lower() == lower_name), "")


def _compute_fingerprint(sender: str, date: str, subject: str, text: str) -> str:
    """Return a digest of the content of a message, which does not depend on folding, padding and encoding."""
    try:
        sent = parsedate_to_datetime(date)
        date = sent.astimezone(UTC).isoformat() if sent.tzinfo else sent.isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        pass  # An invalid date still distinguishes messages.
    content = "\n".join(" ".join(field.split()) for field in (sender, date, subject, text))
    return hashlib.sha256(content.encode()).hexdigest()

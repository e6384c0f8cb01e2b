"""An RFC 5322 message as a mailbox or its provider hands it over, read into what replies need.

The parser's modern policy is not used: it raises IndexError, AttributeError and the like on headers that are broken in
ways that real mail is broken. Here every header stays text, and is decoded where that is possible.
"""

import email.policy
import email.utils
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import getaddresses, parsedate_to_datetime
from uuid import UUID

from api.http.errors import Malformed
from domain.reply_address import parse_message_ids
from domain.storable_text import remove_unstorable
from email_text.bodies import extract_message_text
from email_text.bounded_mime import MimeLimitExceeded, parse_message
from email_text.headers import decode_header_text
from everlytic.models import MESSAGE_HEADER

MOST_HEADERS = 500
MOST_ADDRESS = 320
MOST_ID = 500
MOST_RETURNED = 500_000
"""How many bytes are read of the headers that a delivery report returns."""
MAX_COMMENTS = 50
"""How many comments and groups a From header may have: Python's parser calls itself for each within another."""

_RECIPIENTS = (
    *("to", "cc", "delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "x-forwarded-to", "resent-to"),
)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_ID = re.compile(r"<([^<>\s]+)>")
_LENIENT: dict[str, bool] = {"strict": False} if hasattr(email.utils, "supports_strict_parsing") else {}
"""Without it newer Pythons refuse a From such as `ann@lead.example <ann@lead.example>`, which much mail has."""

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """What was received; `answered` are the messages that it may be an answer to, in the order of trust.

    First those that In-Reply-To and References name, nearest first; then the one that a report returns; then those
    whose own reply address it was sent to.
    """

    message_id: str
    from_email: str
    subject: str
    text: str
    headers: tuple[tuple[str, str], ...]
    answered: tuple[UUID, ...]


def read_message(raw: bytes) -> InboundMessage:
    """Return a message; raises Malformed when it has no sender or is nested too deeply."""
    try:
        parsed = parse_message(raw)
    except MimeLimitExceeded as error:
        raise Malformed(f"The message {error}.") from error
    text, returned = extract_message_text(parsed), list(_returned(parsed))
    headers = [(remove_unstorable(name), decode_header_text(value)) for name, value in parsed.items()[:MOST_HEADERS]]
    return build_message(headers, text, returned)


def build_message(headers: Headers, text: str, returned: Sequence[str] = ()) -> InboundMessage:
    """Return the message of decoded headers and a text; `returned` are ids within a message that comes back.

    Raises Malformed when it has no sender. A message without an id is known by what it says, so that it is the same
    one however often and on whichever way it comes.
    """
    sender = _sender(headers)
    subject = _first(headers, "subject")
    named_id = _first(headers, "message-id")
    found = _ID.search(named_id)
    id_within = found[1] if found else named_id.strip("<> ")
    # Some services post the id without its brackets; with or without, it is the same message.
    message_id = f"<{id_within}>"
    if not id_within or len(message_id) > MOST_ID:
        message_id = f"<{_fingerprint(sender, _first(headers, 'date'), subject, text)}@no-id>"
    ids = (_first(headers, "in-reply-to"), *reversed(_first(headers, "references").split()), *returned)
    named = [UUID(found) for one in ids for found in _UUID.findall(one)]
    addressed = [found for name, value in headers if name.lower() in _RECIPIENTS for found in parse_message_ids(value)]
    return InboundMessage(
        message_id=message_id,
        from_email=sender,
        subject=subject,
        text=text,
        headers=tuple(headers),
        answered=tuple(dict.fromkeys((*named, *addressed))),
    )


def _first(headers: Headers, wanted: str) -> str:
    return next((value.strip() for name, value in headers if name.lower() == wanted), "")


def _sender(headers: Headers) -> str:
    value = _first(headers, "from")
    if value.count("(") + value.count(":") > MAX_COMMENTS:
        raise Malformed(f"The message's From address has more than {MAX_COMMENTS} comments and groups.")
    senders = [address for _, address in getaddresses([value], **_LENIENT) if "@" in address]
    if not senders or len(senders[0]) > MOST_ADDRESS:
        raise Malformed("The message has no From address.")
    return senders[0].lower()


def _returned(parsed: Message) -> Iterator[str]:
    """Yield the ids of the message that a delivery report brings back (RFC 3462)."""
    if parsed.get_content_type() != "multipart/report" or not parsed.is_multipart():
        return
    for part in parsed.get_payload():
        if not isinstance(part, Message):
            continue
        payload = part.get_payload() if part.is_multipart() else part.get_payload(decode=True)
        if isinstance(payload, list) and isinstance(payload[0], Message):
            returned = payload[0]
        elif isinstance(payload, bytes) and part.get_content_type() == "text/rfc822-headers":
            returned = BytesHeaderParser(policy=email.policy.compat32).parsebytes(payload[:MOST_RETURNED])
        else:
            continue
        yield from (decode_header_text(returned.get(name, "")) for name in (MESSAGE_HEADER, "Message-ID"))


def _fingerprint(sender: str, date: str, subject: str, text: str) -> str:
    """Return a digest of what a message says, whatever it was folded, padded and written down as."""
    try:
        sent = parsedate_to_datetime(date)
        date = sent.astimezone(UTC).isoformat() if sent.tzinfo else sent.isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        pass  # It is no date; what stands there still tells messages apart.
    said = "\n".join(" ".join(one.split()) for one in (sender, date, subject, text))
    return hashlib.sha256(said.encode()).hexdigest()

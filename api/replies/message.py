"""An RFC 5322 message as a mailbox provider hands it over, read into what replies need.

The parser's modern policy is not used: it raises IndexError, AttributeError and the like on headers that are broken in
ways that real mail is broken. Here every header stays text, and is decoded where that is possible.
"""

import email.policy
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from email.utils import getaddresses
from uuid import UUID

from api.errors import Malformed

MOST_TEXT = 200_000
"""How many characters of a text are kept: more than anybody writes."""
MOST_HTML = 5 * MOST_TEXT
MOST_HEADERS = 500
MOST_HEADER = 10_000
MOST_ADDRESS = 320
MOST_ID = 500

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_UNSEEN = re.compile(r"<(/?)(?:style|script)\b[^<>]*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """What was received; `answered` are the ids of ours that its references name, nearest first."""

    message_id: str
    from_email: str
    subject: str
    text: str
    headers: tuple[tuple[str, str], ...]
    answered: tuple[UUID, ...]


def read_message(raw: bytes) -> InboundMessage:
    """Return a message; raises Malformed when it has no sender or is nested too deeply."""
    try:
        parsed = BytesParser(policy=email.policy.compat32).parsebytes(raw)
        text = _text(parsed)
        senders = [address for _, address in getaddresses([_header(parsed, "From")]) if "@" in address]
    except RecursionError as error:
        raise Malformed("The message is nested too deeply to be read.") from error
    if not senders or len(senders[0]) > MOST_ADDRESS:
        raise Malformed("The message has no From address.")
    message_id = _header(parsed, "Message-ID").strip()
    if not message_id or len(message_id) > MOST_ID:
        # A message without an id is known by its own bytes, so that a second delivery is still the same one.
        message_id = f"<{hashlib.sha256(raw).hexdigest()}@no-id>"
    return InboundMessage(
        message_id=message_id,
        from_email=senders[0].lower(),
        subject=_header(parsed, "Subject"),
        text=text,
        headers=tuple((_clean(name), _decoded(value)) for name, value in parsed.items()[:MOST_HEADERS]),
        answered=tuple(dict.fromkeys(_answered(parsed))),
    )


def _answered(parsed: Message) -> Iterator[UUID]:
    references = _header(parsed, "References").split()
    for value in (_header(parsed, "In-Reply-To"), *reversed(references)):
        for found in _UUID.findall(value):
            yield UUID(found)


def _header(parsed: Message, name: str) -> str:
    return _decoded(parsed.get(name, ""))


def _decoded(value: object) -> str:
    """Return a header's value on one line, its encoded words decoded where they can be."""
    line = " ".join(str(value)[:MOST_HEADER].split())
    try:
        return _clean(str(make_header(decode_header(line))))
    except (MessageError, LookupError, ValueError):
        return _clean(line)


def _text(parsed: Message) -> str:
    parts = list(_parts(parsed))
    for kind in ("text/plain", "text/html"):
        for part in parts:
            if part.get_content_type() == kind:
                content = _content(part)
                return _clean(content if kind == "text/plain" else _without_tags(content[:MOST_HTML]))[:MOST_TEXT]
    return ""


def _parts(parsed: Message) -> Iterator[Message]:
    """Yield what a message is made of, without what is attached to it."""
    if parsed.get_content_maintype() == "multipart" and parsed.is_multipart():
        for part in parsed.get_payload():
            if isinstance(part, Message):
                yield from _parts(part)
    elif not parsed.is_multipart() and _disposition(parsed) != "attachment":
        yield parsed


def _disposition(part: Message) -> str:
    return str(part.get("Content-Disposition", "")).partition(";")[0].strip().lower()


def _content(part: Message) -> str:
    payload = part.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    try:
        return raw.decode(part.get_content_charset("utf-8"), "replace")
    except (LookupError, ValueError, TypeError):
        return raw.decode("utf-8", "replace")


def _without_tags(text: str) -> str:
    """Return what a reader sees of HTML, roughly; each character is looked at a few times, whatever the HTML is."""
    seen, at, is_hidden = [], 0, False
    for mark in _UNSEEN.finditer(text):
        if not is_hidden:
            seen.append(text[at : mark.start()])
        at, is_hidden = mark.end(), not mark[1]
    if not is_hidden:
        seen.append(text[at:])
    return _TAG.sub(" ", " ".join(seen))


def _clean(text: str) -> str:
    """Return text that the database can hold: no NUL, no lone surrogates."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")

"""An RFC 5322 message as a mailbox provider hands it over, read into what replies need."""

import email.policy
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import getaddresses
from uuid import UUID

from api.errors import Malformed

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_TAGS = re.compile(r"<(?:style|script)\b.*?</(?:style|script)>|<[^>]+>", re.IGNORECASE | re.DOTALL)


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
    """Return a message; raises Malformed when it has no sender."""
    parsed = BytesParser(policy=email.policy.default).parsebytes(raw)
    assert isinstance(parsed, EmailMessage)
    headers = tuple((name, _clean(str(value))) for name, value in parsed.items())
    senders = [address for _, address in getaddresses([_header(parsed, "From")]) if "@" in address]
    if not senders:
        raise Malformed("The message has no From address.")
    # A message without an id is known by its own bytes, so that a second delivery is still the same one.
    message_id = _header(parsed, "Message-ID").strip() or f"<{hashlib.sha256(raw).hexdigest()}@no-id>"
    return InboundMessage(
        message_id=message_id,
        from_email=senders[0].lower(),
        subject=_header(parsed, "Subject"),
        text=_text(parsed),
        headers=headers,
        answered=tuple(dict.fromkeys(_answered(parsed))),
    )


def _answered(parsed: EmailMessage) -> Iterator[UUID]:
    references = _header(parsed, "References").split()
    for value in (_header(parsed, "In-Reply-To"), *reversed(references)):
        for found in _UUID.findall(value):
            yield UUID(found)


def _header(parsed: EmailMessage, name: str) -> str:
    return _clean(str(parsed.get(name, "")))


def _text(parsed: EmailMessage) -> str:
    part = parsed.get_body(preferencelist=("plain", "html"))
    if part is None:
        return ""
    try:
        content = part.get_content()
    except (LookupError, UnicodeError):
        payload = part.get_payload(decode=True)
        content = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
    text = content if isinstance(content, str) else ""
    return _clean(_TAGS.sub(" ", text) if part.get_content_type() == "text/html" else text)


def _clean(text: str) -> str:
    """Return text that the database can hold: no NUL, no lone surrogates."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")

"""Reads the reports of mail systems: delivery status, feedback, dispositions and answers to invitations.

Formats: RFC 3464 and RFC 6533 (delivery status), RFC 5965 (feedback), RFC 8098 (dispositions), RFC 5546 (calendars).
"""

import base64
import binascii
import quopri
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from enum import StrEnum

from domain.storable_text import remove_unstorable
from email_text.addresses import find_addresses, parse_mailboxes
from email_text.headers import decode_header_text, unfold_header

MAX_PARTS = 200
MAX_REPORT_CHARACTERS = 200_000
MAX_RECIPIENTS = 50
MAX_DETAIL_CHARACTERS = 500
MAX_MESSAGE_IDS = 20


class ReportKind(StrEnum):
    """What a machine reports."""

    BOUNCE = "bounce"
    """The delivery to a recipient failed, for whatever reason."""
    DELAY = "delay"
    DELIVERY = "delivery"
    """The message was delivered, relayed or expanded."""
    COMPLAINT = "complaint"
    """The recipient reported the message as abuse or opted out at the mailbox provider."""
    FEEDBACK = "feedback"
    """Other feedback, such as not-spam or an authentication failure."""
    READ_RECEIPT = "read_receipt"
    """The message was displayed or deleted."""
    CALENDAR = "calendar"
    """An invitation was accepted or declined."""
    UNSUBSCRIBE = "unsubscribe"
    """A mail program unsubscribed at the press of its button."""


@dataclass(frozen=True, slots=True)
class ReportedRecipient:
    """What a report says about one recipient; the addresses are in canonical form."""

    addresses: tuple[str, ...]
    """The final and the original recipient; empty if the report names none."""
    action: str
    """`failed`, `delayed`, `delivered`, `relayed`, `expanded`, or empty."""
    status: str
    """The enhanced status code, such as `5.1.1`, or empty."""
    detail: str
    """The text of the server."""


@dataclass(frozen=True, slots=True)
class Report:
    """A report, and the ids of the message that it is about."""

    kind: ReportKind
    recipients: tuple[ReportedRecipient, ...] = ()
    message_ids: tuple[str, ...] = ()


STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?!\.?\d)", re.ASCII)
_ACTIONS = ("failed", "delayed", "delivered", "relayed", "expanded")
_ACTIONS_BY_CLASS = {"2": "delivered", "4": "delayed", "5": "failed"}
_COMPLAINTS = frozenset({"abuse", "fraud", "opt-out", "opt-out-list", "complaint", "spam"})
_DELIVERY_STATUS = frozenset({"message/delivery-status", "message/global-delivery-status"})
_DISPOSITIONS = frozenset({"message/disposition-notification", "message/global-disposition-notification"})
_RETURNED = frozenset(
    {
        *("message/rfc822", "message/global", "message/partial"),
        *("text/rfc822-headers", "message/rfc822-headers", "message/global-headers"),
    }
)
_JUNK_SUBJECT = re.compile(
    r"\s*(?:\[[^\]]{1,40}\]\s*)?(?:complaint about (?:a |your )?(?:message|e-?mail)|(?:e-?mail )?(?:abuse|spam|junk)"
    r"(?: mail| e-?mail)? (?:report|complaint)|e-?mail feedback report|(?:fbl|feedback loop) (?:report|complaint))\b",
    re.IGNORECASE,
)
"""Subjects of complaints without a part that says so; the reported message must be attached."""
_ANSWER_METHODS = frozenset({"reply", "counter", "declinecounter", "refresh"})
_METHOD = re.compile(r"^METHOD[^:\r\n]{0,50}:\s*(\w{1,30})", re.IGNORECASE | re.MULTILINE)
_FIELD = re.compile(r"([!-9;-~]{1,80})[ \t]*:[ \t]*(.*)")
_HEX = re.compile(r"\\x\{([0-9A-F]{1,6})\}", re.IGNORECASE)

Fields = Mapping[str, list[str]]


def read_report(message: Message) -> Report | None:
    """Return the report that the parts of a message hold, or None. Attached messages are read for their ids only."""
    parts = list(_iterate_parts(message))
    types = [part.get_content_type() for part in parts]
    is_report = "multipart/report" in types
    for part, content_type in zip(parts, types, strict=True):
        report = None
        if content_type in _DELIVERY_STATUS:
            report = _read_delivery_status(_read_blocks(part))
        elif content_type == "message/feedback-report":
            report = _read_feedback(_read_blocks(part))
        elif content_type in _DISPOSITIONS:
            report = _read_disposition(_read_blocks(part))
        elif content_type == "text/calendar" and _read_method(part) in _ANSWER_METHODS:
            report = Report(ReportKind.CALENDAR)
        if report is not None:
            return Report(report.kind, report.recipients, _find_ids(parts, report.message_ids))
    if is_report:
        texts = (_flatten(part) for part in parts if part.get_content_maintype() != "multipart")
        blocks = [block for text in texts if "final-recipient" in text.lower() for block in parse_blocks(text)]
        report = _read_delivery_status(blocks) if blocks else None
        return Report(report.kind, report.recipients, _find_ids(parts, ())) if report else None
    return _read_junk_report(message, parts)


def find_returned_ids(message: Message) -> tuple[str, ...]:
    """Return the ids in the message that a report returns (RFC 3462)."""
    parts = list(_iterate_parts(message))
    is_report = any(part.get_content_type() == "multipart/report" for part in parts)
    return _find_ids(parts, ()) if is_report else ()


def _iterate_parts(message: Message) -> Iterator[Message]:
    """Yield a message and its parts in order, without the parts of attached messages."""
    pending, count = [message], 0
    while pending and count < MAX_PARTS:
        part = pending.pop()
        count += 1
        yield part
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            children = [child for child in part.get_payload() if isinstance(child, Message)]
            pending += reversed(children[:MAX_PARTS])


def _read_delivery_status(blocks: list[Fields]) -> Report | None:
    recipients = [recipient for block in blocks if (recipient := _read_recipient(block))][:MAX_RECIPIENTS]
    if not recipients:
        return None
    actions = {recipient.action for recipient in recipients}
    ids = tuple(value for block in blocks for value in _values(block, "original-envelope-id", "x-original-message-id"))
    if "failed" in actions:
        kind = ReportKind.BOUNCE
    elif "delayed" in actions:
        kind = ReportKind.DELAY
    elif actions & {"delivered", "relayed", "expanded"}:
        kind = ReportKind.DELIVERY
    else:
        return None
    return Report(kind, tuple(recipients), ids)


def _read_recipient(block: Fields) -> ReportedRecipient | None:
    status = next((match[1] for value in _values(block, "status") if (match := STATUS.search(value))), "")
    action = next((word for value in _values(block, "action") for word in [_first_word(value)] if word in _ACTIONS), "")
    action = action or _ACTIONS_BY_CLASS.get(status[:1], "")
    named = _values(block, "final-recipient", "original-recipient", "x-actual-recipient")
    if not action or not (named or "action" in block):
        return None
    addresses = dict.fromkeys(address for value in named for address in _read_addresses(value))
    detail = " ".join(_values(block, "diagnostic-code", "x-display-name", "x-supplementary-info"))
    return ReportedRecipient(tuple(addresses), action, status, detail[:MAX_DETAIL_CHARACTERS])


def _read_addresses(value: str) -> list[str]:
    """Return the addresses in a field with an address type, such as `rfc822; ann@lead.example`."""
    text = value.rpartition(";")[2] if ";" in value else value
    text = _HEX.sub(lambda match: chr(min(int(match[1], 16), 0x10FFFF)), text)
    text = remove_unstorable(text)
    return [mailbox.address for mailbox in parse_mailboxes(text)] or find_addresses(text)


def _read_feedback(blocks: list[Fields]) -> Report | None:
    fields = next((block for block in blocks if "feedback-type" in block), None)
    if fields is None:
        return None
    types = {_first_word(value) for value in fields["feedback-type"]}
    kind = ReportKind.COMPLAINT if types & _COMPLAINTS else ReportKind.FEEDBACK
    named = _values(fields, "original-rcpt-to", "removal-recipient", "x-original-rcpt-to")
    detail = ", ".join(sorted(types))[:MAX_DETAIL_CHARACTERS]
    recipients = [
        ReportedRecipient((address,), "", "", detail) for value in named for address in _read_addresses(value)
    ]
    recipients = recipients[:MAX_RECIPIENTS] or [ReportedRecipient((), "", "", detail)]
    return Report(kind, tuple(recipients), tuple(_values(fields, "original-message-id", "message-id")))


def _read_junk_report(message: Message, parts: list[Message]) -> Report | None:
    """Return the complaint of a mailbox provider that only attaches the message that its user reported."""
    returned = next((part for part in parts if part.get_content_type() in _RETURNED), None)
    if returned is None:
        return None
    fields = next(iter(_read_blocks(returned)), {})
    named = _values(fields, "x-hmxmroriginalrecipient")
    if not named and not _JUNK_SUBJECT.match(unfold_header(str(message.get("Subject", "")))):
        return None
    addresses = [address for value in named or _values(fields, "to") for address in _read_addresses(value)]
    recipients = tuple(ReportedRecipient((address,), "", "", "abuse") for address in addresses[:MAX_RECIPIENTS])
    return Report(ReportKind.COMPLAINT, recipients, _find_ids(parts, ()))


def _read_disposition(blocks: list[Fields]) -> Report | None:
    ids = tuple(value for block in blocks for value in _values(block, "original-message-id"))
    return Report(ReportKind.READ_RECEIPT, (), ids)


def _read_method(part: Message) -> str:
    declared = str(part.get_param("method", "")).strip().lower()
    match = None if declared else _METHOD.search(_flatten(part)[:MAX_REPORT_CHARACTERS])
    return match[1].lower() if match else declared


def _find_ids(parts: list[Message], named: tuple[str, ...]) -> tuple[str, ...]:
    """Return the ids that a report names, and those in the headers of the message that it returns."""
    ids = list(named)
    for part in parts:
        if part.get_content_type() in _RETURNED:
            fields: dict[str, list[str]] = {}
            for block in _read_blocks(part)[:1]:
                fields.update(block)
            ids += [value for name in ("x-salesmatter-draft", "message-id") for value in fields.get(name, [])]
    return tuple(dict.fromkeys(decode_header_text(value) for value in ids))[:MAX_MESSAGE_IDS]


def _read_blocks(part: Message) -> list[Fields]:
    return parse_blocks(_flatten(part))


def parse_blocks(text: str) -> list[Fields]:
    """Return the blocks of fields in a text, which blank lines separate; names are in lower case."""
    blocks: list[Fields] = []
    fields: dict[str, list[str]] = {}
    name = ""
    for line in text[:MAX_REPORT_CHARACTERS].replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if not line.strip():
            if fields:
                blocks.append(fields)
            fields, name = {}, ""
        elif line[0] in " \t" and name:
            fields[name][-1] += f" {line.strip()}"
        elif match := _FIELD.match(line):
            name = match[1].lower()
            fields.setdefault(name, []).append(match[2].strip())
        else:
            name = ""
    return [*blocks, fields] if fields else blocks


def _flatten(part: Message) -> str:
    """Return the text of a part. The parser has split the parts of type `message/*` into headers and payload."""
    payload = part.get_payload()
    if not isinstance(payload, list):
        decoded = part.get_payload(decode=True)
        raw = decoded if isinstance(decoded, bytes) else str(payload or "").encode("utf-8", "replace")
        return raw[:MAX_REPORT_CHARACTERS].decode("utf-8", "replace")
    lines: list[str] = []
    for inner in payload[:MAX_PARTS]:
        if isinstance(inner, Message):
            lines += [f"{name}: {unfold_header(value)}" for name, value in inner.raw_items()]
            body = inner.get_payload()
            lines += ["", body[:MAX_REPORT_CHARACTERS] if isinstance(body, str) else "", ""]
    return _decode_transfer("\n".join(lines)[:MAX_REPORT_CHARACTERS], str(part.get("Content-Transfer-Encoding", "")))


def _decode_transfer(text: str, encoding: str) -> str:
    encoding = encoding.strip().lower()
    try:
        if encoding == "base64":
            return base64.b64decode("".join(text.split())).decode("utf-8", "replace")
        if encoding == "quoted-printable":
            return quopri.decodestring(text.encode("utf-8", "replace")).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        pass
    return text


def _values(fields: Fields, *names: str) -> list[str]:
    return [value for name in names for value in fields.get(name, []) if value.strip()]


def _first_word(value: str) -> str:
    return value.partition(";")[0].partition("(")[0].strip().partition(" ")[0].lower()

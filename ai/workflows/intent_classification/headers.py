"""Detects automatic replies and bounces by the headers of a message (RFC 3834, RFC 3464, RFC 2919)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ai.workflows.intent_classification.automatic import has_automatic_subject

_BOUNCE_SENDER = re.compile(r"\b(?:mailer-daemon|postmaster|mail-daemon|maildaemon)@", re.IGNORECASE)
_BOUNCE_SUBJECT = re.compile(
    r"^\s*(?:undeliver(?:able|ed)|delivery (?:status notification|has failed|failure|incomplete)|mail delivery"
    r" (?:failed|failure|system)|message not delivered|returned mail|failure notice|unzustellbar|nicht zustellbar"
    r"|non[- ]remis|échec de (?:la )?remise|onbestelbaar|onaflewerbaar|no se puede entregar|não entregue"
    r"|não é possível entregar)",
    re.IGNORECASE,
)
_BOUNCE_TEXT = re.compile(
    r"^(?:final-recipient|diagnostic-code|reporting-mta|remote-mta): |\b5\d\d[ -]5\.\d{1,3}\.\d{1,3}\b"
    r"|\b(?:smtp|remote server)\b.{0,80}\b5\d\d\b",
    re.IGNORECASE | re.MULTILINE,
)
_AUTOMATIC_SUBJECT = re.compile(
    r"^\s*\[?(?:auto(?:matic|mated)?[ -]?(?:reply|response)|out[ -]of[ -](?:the[ -])?office|autoreply|auto:|ooo\b"
    r"|automatische? (?:antwort|antwoord)|abwesen(?:heit|d)|réponse automatique|outomatiese antwoord"
    r"|respuesta automática|resposta automática|risposta automatica)",
    re.IGNORECASE,
)
_DELAYED = re.compile(r"\b(?:delayed|delay\b|action: delayed|will retry|verzögert|retardé|vertraag)", re.IGNORECASE)
_AUTO_HEADERS = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply")
_OFF = {"no", "false", "0"}

_MAILBOX = re.compile(r"([^<>,;@]{0,100})<?([\w.+-]{1,64})@[\w.-]{1,255}>?")
_NAME_WORD = re.compile(r"[^\W\d_]{2,}")
MIN_NAME_CHARACTERS = 4  # a shorter name may be part of any word
MAX_NAMES = 2_000  # the number of characters of a header searched for names
MAX_TEXT = 20_000  # the number of characters searched for signs of a bounce

Kind = Literal["person", "auto_reply", "automatic", "list", "bounce", "notice"]


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a message; `certain` is true if headers show it, and false if only subject and text do.

    An `auto_reply` answers a message, an `automatic` message may answer one, a `list` message goes to many recipients,
    and a `notice` needs no classification.
    """

    kind: Kind
    certain: bool


def detect_origin(pairs: Iterable[tuple[str, str]], subject: str, text: str) -> Origin:
    """Return the origin of a message by its headers and subject; the default is a person."""
    headers: dict[str, list[str]] = {}
    for name, value in pairs:
        headers.setdefault(name.strip().casefold(), []).append(value.strip().casefold())
    return _detect_report(headers, subject, text) or _detect_automatic(headers, subject)


def _detect_report(headers: dict[str, list[str]], subject: str, text: str) -> Origin | None:
    content = " ".join(headers.get("content-type", []))
    if "multipart/report" in content and "disposition-notification" in content:
        return Origin("notice", certain=True)
    daemon = any(_BOUNCE_SENDER.search(value) for value in headers.get("from", []))
    delivery_report = "delivery-status" in content or "x-failed-recipients" in headers
    returned = _BOUNCE_SUBJECT.search(subject) is not None
    if not (delivery_report or daemon or returned):
        return None
    if _DELAYED.search(subject):
        return Origin("notice", certain=True)
    if delivery_report or (daemon and returned) or (daemon and "<>" in headers.get("return-path", [])):
        return Origin("bounce", certain=True)
    if returned or _BOUNCE_TEXT.search(text[:MAX_TEXT]):
        return Origin("bounce", certain=False)
    return Origin("notice", certain=True)


def _detect_automatic(headers: dict[str, list[str]], subject: str) -> Origin:
    submitted = " ".join(headers.get("auto-submitted", [])).split(";")[0].split("(")[0].strip()
    precedence = set(headers.get("precedence", []))
    if submitted.startswith("auto-replied") or precedence & {"auto_reply", "auto-reply"}:
        return Origin("auto_reply", certain=True)
    if any(mark in headers and headers[mark][0] not in _OFF for mark in _AUTO_HEADERS):
        return Origin("auto_reply", certain=True)
    if _AUTOMATIC_SUBJECT.search(subject) or has_automatic_subject(subject):
        return Origin("auto_reply", certain=bool(submitted and submitted != "no"))
    if submitted and submitted != "no":
        return Origin("automatic", certain=True)
    # If our own address is a mailing list, a person's reply has list headers too.
    is_answer = headers.keys() & {"in-reply-to", "references"}
    if not is_answer and (
        "list-id" in headers or "list-unsubscribe" in headers or precedence & {"bulk", "list", "junk"}
    ):
        return Origin("list", certain=True)
    return Origin("person", certain=False)


def find_sender_names(pairs: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Return the words of the sender's name and mailbox in the From header."""
    return frozenset(word for name in _find_names(pairs, "from") for word in _NAME_WORD.findall(name))


def find_recipient_names(pairs: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return the names in the To header; one of them wrote the answered mail."""
    return tuple(name for name in _find_names(pairs, "to") if len(name) >= MIN_NAME_CHARACTERS)


def _find_names(pairs: Iterable[tuple[str, str]], header: str) -> Iterable[str]:
    value = next((value for name, value in pairs if name.strip().casefold() == header), "")[:MAX_NAMES]
    for mailbox in _MAILBOX.finditer(value):
        yield from (name.strip(" \t\"'") for name in mailbox.groups(default=""))

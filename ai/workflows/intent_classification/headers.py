"""Reads from a reply's headers whether a machine wrote it, and whether it is a bounce (RFC 3834, RFC 3464)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_BOUNCE_SENDER = re.compile(r"\b(?:mailer-daemon|postmaster|mail-daemon|maildaemon)@", re.IGNORECASE)
_BOUNCE_SUBJECT = re.compile(
    r"^\s*(?:undeliver(?:able|ed)|delivery (?:status notification|has failed|failure)|mail delivery (?:failed|failure"
    r"|system)"
    r"|returned mail|failure notice|unzustellbar|nicht zustellbar|non[- ]remis|échec de (?:la )?remise|onbestelbaar"
    r"|no se puede entregar|não entregue|não é possível entregar)",
    re.IGNORECASE,
)
_AUTOMATIC_SUBJECT = re.compile(
    r"^\s*(?:auto(?:matic|mated)?[ -]?(?:reply|response)|out[ -]of[ -](?:the[ -])?office|autoreply|auto:|ooo\b"
    r"|on (?:annual )?leave"
    r"|automatische? (?:antwort|antwoord)|abwesen(?:heit|d)|réponse automatique|absence du bureau|afwezig"
    r"|outomatiese antwoord"
    r"|buite kantoor|respuesta automática|fuera de (?:la )?oficina|resposta automática|ausência)",
    re.IGNORECASE,
)
_DELAYED = re.compile(r"\b(?:delayed|delay\b|action: delayed|will retry|verzögert|retardé|vertraagd)", re.IGNORECASE)
_AUTO_MARKS = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-reply")


@dataclass(frozen=True, slots=True)
class Origin:
    """What the envelope says: `kind` is who wrote it, `by` whether headers or only the subject say so."""

    kind: str  # "person", "auto_reply", "bounce", "notice"
    certain: bool


def origin_of(pairs: Iterable[tuple[str, str]], subject: str, text: str) -> Origin:
    """Return who wrote a message as far as its headers and subject tell; a person where nothing speaks against it."""
    headers: dict[str, list[str]] = {}
    for name, value in pairs:
        headers.setdefault(name.strip().casefold(), []).append(value.strip().casefold())
    if origin := _report(headers, subject, text):
        return origin
    return _automatic(headers, subject)


def _report(headers: dict[str, list[str]], subject: str, text: str) -> Origin | None:
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
    return (
        Origin("bounce", certain=False) if returned or _BOUNCE_SUBJECT.search(text) else Origin("notice", certain=True)
    )


def _automatic(headers: dict[str, list[str]], subject: str) -> Origin:
    submitted = " ".join(headers.get("auto-submitted", [])).split(";")[0].split("(")[0].strip()
    precedence = set(headers.get("precedence", []))
    if submitted.startswith("auto-replied") or precedence & {"auto_reply", "auto-reply"}:
        return Origin("auto_reply", certain=True)
    if any(mark in headers and headers[mark][0] not in {"no", "false", "0"} for mark in _AUTO_MARKS):
        return Origin("auto_reply", certain=True)
    if submitted and submitted != "no":
        return Origin("auto_reply" if _AUTOMATIC_SUBJECT.search(subject) else "notice", certain=True)
    if _AUTOMATIC_SUBJECT.search(subject):
        return Origin("auto_reply", certain=False)
    if precedence & {"bulk", "list", "junk"} or "list-id" in headers:
        return Origin("notice", certain=True)
    return Origin("person", certain=False)

"""Extracts the sender's own text of a reply, without quotes, signature, mobile footer and disclaimer."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import quotequail

from email_text.quote_headers import cut_quoted_rest
from email_text.signatures import split_signature

MAX_LINES = 400  # more lines are hardly ever the reply; this also limits the time for a hostile text
MAX_LINE_CHARACTERS = 600  # more characters of a line are ignored
# Quote headers that quotequail does not know; they are replaced with headers that it knows.
_ATTRIBUTION = re.compile(
    r"^(?P<marks>[ \t>]*)(?:On|Am|Le|Op|El|Em|Il)\b[^\n]{4,200}?(?:\n[^\n]{1,160}){0,2}?"
    r"(?:wrote|schrieb|a écrit|schreef|geskryf|skryf|escribió|escreveu|ha scritto)"
    r"[^\n:]{0,80}:[ \t]*$",
    re.MULTILINE,
)
_DIVIDER = re.compile(
    r"^[ \t]*-{3,}[ \t]*(?:original[ -]message|original[ -]?nachricht|ursprüngliche nachricht|message d'origine"
    r"|message original|weitergeleitete nachricht|oorspronklike boodskap|aangestuurde boodskap|mensagem original"
    r"|mensagem encaminhada)[ \t]*-{3,}[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class ReplyParts:
    """The text that the sender of a reply wrote, and what follows its closing or stands in a marketing footer."""

    text: str
    tail: str


def extract_reply(text: str) -> str:
    """Return the text that the sender of a reply wrote, also between and below quoted lines."""
    return split_reply(text).text


def split_reply(text: str, sender_names: Collection[str] = (), own_names: Sequence[str] = ()) -> ReplyParts:
    """Return the parts of a reply; `sender_names` are words of its sender's name, `own_names` names of the quoted."""
    body = text.replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " ").replace("\u202f", " ")
    body = "\n".join(line[:MAX_LINE_CHARACTERS] for line in body.split("\n", MAX_LINES)[:MAX_LINES])
    body = _ATTRIBUTION.sub(r"\g<marks>On a day, somebody wrote:", body)
    body = _DIVIDER.sub("-----Original Message-----", body)
    body = _remove_quotes("\n".join(cut_quoted_rest(body.split("\n"), own_names)))
    written, tail = split_signature(body, sender_names)
    return ReplyParts(re.sub(r"\n{3,}", "\n\n", written), tail)


def _remove_quotes(body: str) -> str:
    """Remove the messages that quotequail detects, and remaining lines with a quote mark."""
    if parts := quotequail.unwrap(body):
        body = "\n".join(filter(None, (parts.get("text_top"), parts.get("text_bottom"))))
    return "\n".join(line for line in body.split("\n") if not line.lstrip().startswith(">"))

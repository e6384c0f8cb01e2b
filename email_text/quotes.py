"""Extracts the sender's own text of a reply, without quotes, signature, mobile footer and disclaimer."""

import re

import quotequail

from email_text.signatures import strip_signature

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
_HEADERS = re.compile(
    r"^[ \t*]*(?:From|Von|De|Van|Da)[ \t*]*:[^\n]+\n(?:[^\n]*\n)??[ \t*]*"
    r"(?:Sent|Date|Gesendet|Datum|Envoyé|Verzonden|Gestuur(?: op)?|Enviad[oa](?: el| em)?|Fecha|Data|Inviato)[ \t*]*:",
    re.MULTILINE | re.IGNORECASE,
)


def extract_reply(text: str) -> str:
    """Return the text that the sender of a reply wrote, also between and below quoted lines."""
    body = text.replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " ").replace("\u202f", " ")
    body = "\n".join(line[:MAX_LINE_CHARACTERS] for line in body.split("\n", MAX_LINES)[:MAX_LINES])
    body = _ATTRIBUTION.sub(r"\g<marks>On a day, somebody wrote:", body)
    body = _DIVIDER.sub("-----Original Message-----", body)
    if match := _HEADERS.search(body):
        body = f"{body[: match.start()]}-----Original Message-----\n{body[match.start() :]}"
    return re.sub(r"\n{3,}", "\n\n", strip_signature(_remove_quotes(body)))


def _remove_quotes(body: str) -> str:
    """Remove the messages that quotequail detects, and remaining lines with a quote mark."""
    if parts := quotequail.unwrap(body):
        body = "\n".join(filter(None, (parts.get("text_top"), parts.get("text_bottom"))))
    return "\n".join(line for line in body.split("\n") if not line.lstrip().startswith(">"))

"""Leaves of a reply what its sender wrote: without quoted messages, signature, mobile footer and disclaimer."""

import re

import quotequail

from ai.workflows.intent_classification.signatures import unsigned

MAX_LINES = 400  # what stands below is hardly ever the answer; also bounds the time that a hostile text takes
MAX_LINE = 600  # characters
# What quotequail does not know, to be said in a way that it does.
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


def written_part(text: str) -> str:
    """Return what the sender of a reply wrote. Answers between or below quoted lines are kept."""
    body = text.replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " ").replace("\u202f", " ")
    body = "\n".join(line[:MAX_LINE] for line in body.split("\n", MAX_LINES)[:MAX_LINES])
    body = _ATTRIBUTION.sub(r"\g<marks>On a day, somebody wrote:", body)
    body = _DIVIDER.sub("-----Original Message-----", body)
    if found := _HEADERS.search(body):
        body = f"{body[: found.start()]}-----Original Message-----\n{body[found.start() :]}"
    return re.sub(r"\n{3,}", "\n\n", unsigned(_unquoted(body)))


def _unquoted(body: str) -> str:
    """Leave out what quotequail finds to be another's message, and single marked lines that it leaves."""
    if found := quotequail.unwrap(body):
        body = "\n".join(filter(None, (found.get("text_top"), found.get("text_bottom"))))
    return "\n".join(line for line in body.split("\n") if not line.lstrip().startswith(">"))

"""Leaves of a reply what its sender wrote: without quoted messages, signature and mobile footers."""

import re

MAX_CHARACTERS = 20_000
_ATTRIBUTION = re.compile(
    r"^[ \t>]*(?:On|Am|Le|Op|El|Em|Den)\b[^\n]{0,200}(?:\n[^\n]{1,200}){0,2}?"
    r"(?:wrote|schrieb|a écrit|schreef|geskryf|skryf|escribió|escreveu)[^\n:]{0,80}:[ \t]*$",
    re.MULTILINE,
)
_DIVIDER = re.compile(
    r"^[ \t]*(?:-{2,}[ \t]*(?:original message|original-nachricht|ursprüngliche nachricht|message d'origine"
    r"|message original"
    r"|oorspronkelijk bericht|oorspronklike boodskap|mensaje original|mensagem original|forwarded message)[ \t]*-{2,}"
    r"|_{20,})[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_OUTLOOK = re.compile(
    r"^[ \t*]*(?:From|Von|De|Van)[ \t*]*:[^\n]+\n(?:[^\n]*\n){0,2}?[ \t*]*"
    r"(?:Sent|Date|Gesendet|Datum|Envoyé|Verzonden|Gestuur|Enviado(?: el| em)?|Fecha|Data)[ \t*]*:",
    re.MULTILINE,
)
_SIGNATURE = re.compile(r"^-- ?$", re.MULTILINE)
_MOBILE = re.compile(
    r"^(?:sent from my|sent from outlook|get outlook for|von meinem .* gesendet|envoyé de mon|verzonden vanaf"
    r"|enviado desde|"
    r"enviado do meu)\b.*$",
    re.IGNORECASE | re.MULTILINE,
)


def written_part(text: str) -> str:
    """Return what the sender of a reply wrote. Answers between or below quoted lines are kept."""
    body = text.replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " ")[:MAX_CHARACTERS]
    for marker in (_DIVIDER, _OUTLOOK, _ATTRIBUTION):
        if found := marker.search(body):
            below = body[found.end() :]
            # With quote marks below, what is unmarked there is the sender's own.
            body = f"{body[: found.start()]}\n{below}" if _has_quote_marks(below) else body[: found.start()]
    lines = [line for line in body.split("\n") if not line.lstrip().startswith(">")]
    body = "\n".join(lines)
    if (signature := _SIGNATURE.search(body)) and body[: signature.start()].strip():
        body = body[: signature.start()]
    return re.sub(r"\n{3,}", "\n\n", _MOBILE.sub("", body)).strip()


def _has_quote_marks(text: str) -> bool:
    lines = [line for line in text.split("\n") if line.strip()]
    return bool(lines) and lines[0].lstrip().startswith(">")

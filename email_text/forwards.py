"""Finds a message that its author's colleague forwards with a few words."""

import re
from dataclasses import dataclass

from domain.suppression import extract_domain
from email_text.addresses import find_addresses

MAX_CHARACTERS = 20_000
MAX_HEADER_LINES = 8

_DIVIDER = re.compile(
    r"^[ \t>]*(?:-{2,}|_{5,}|\*{3,})[ \t]*[^\n]{0,60}?(?:forward|weitergeleitet|transf|reenviad|encaminhad|inoltrat"
    r"|doorgestuurd|aangestuur|vidarebefordra|videresend|viderebragt|videresendt|v[aä]litetty|przekazan|p[rř]eposlan|preposlan"
    r"|tov[aá]bb[ií]tott|redirec[tț]ionat|προωθη|iletil|пересла|пересил|пренасочен|מועבר|معاد|転送|转发|轉寄|轉發|전달)[^\n]{0,60}$",
    re.IGNORECASE | re.MULTILINE,
)
_HEADER = re.compile(r"^[ \t>]*\*?[^\W\d_][\w .'-]{0,24}\*?[ \t]*[:\uff1a]")


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A forwarded message: the first address in its headers, and its text."""

    author: str
    text: str


def find_colleague(text: str, sender: str) -> Forwarded | None:
    """Return the first message that a sender forwards below a divider, if its author has an address at the same domain.

    A forwarded newsletter says nothing about what its reader wants.
    """
    forwarded = _find_forwarded(text)
    domain = extract_domain(sender)
    return forwarded if forwarded and domain and extract_domain(forwarded.author) == domain else None


def _find_forwarded(text: str) -> Forwarded | None:
    text = text[:MAX_CHARACTERS].replace("\r\n", "\n")
    divider = _DIVIDER.search(text)
    if divider is None:
        return None
    lines = text[divider.end() :].lstrip("\n").split("\n")
    count = 0
    while count < min(len(lines), MAX_HEADER_LINES) and _HEADER.match(lines[count]):
        count += 1
    author = next((address for line in lines[:count] for address in find_addresses(line)), None)
    return Forwarded(author, "\n".join(lines[count:]).strip()) if author else None

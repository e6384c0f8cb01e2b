"""Recognises automatic messages that say that the recipient has left, or that the mailbox is closed."""

import re

from email_text.phrase_files import compile_phrases

MAX_CHARACTERS = 5_000

_DEPARTURE = compile_phrases("departures", "departures")
_CLOSED = compile_phrases("departures", "closed")
_FOR_A_WHILE = re.compile(
    r"(?:left|leaving) (?:the )?(?:office|work|building) (?:for|on|early|today)|left for (?:the day|vacation|holiday)"
    r"|(?:büro|arbeitsplatz) (?:bereits |heute |schon )?verlassen",
    re.IGNORECASE,
)


def says_departed(text: str) -> bool:
    """Return whether a text says that a person has left, retired or died."""
    return _DEPARTURE.search(_FOR_A_WHILE.sub(" ", _normalize(text))) is not None


def says_closed(text: str) -> bool:
    """Return whether a text says that a mailbox is not read any more, for a while or for ever."""
    return _CLOSED.search(_normalize(text)) is not None


def _normalize(text: str) -> str:
    return " ".join(text[:MAX_CHARACTERS].replace("\u2019", "'").split())

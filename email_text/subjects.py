"""Recognizes the prefixes that mail programs add to the subjects of replies and forwarded messages."""

import re

_PREFIX = re.compile(
    r"\s*(?:\[[^\]]*\]\s*)?"
    r"(?:(?:re|fwd?|aw|wg|antw|antwort|antwoord|sv|vs|tr|réponse|rv|res|enc)\s?(?:\[\d+\])?\s?[:\uff1a]\s*)+",
    re.IGNORECASE,
)
"""In English, German, Dutch, Scandinavian languages, French, Spanish and Portuguese, also after a tag as in
`[EXTERNAL] Re: Hello`; the colon may be a fullwidth one."""


def has_reply_prefix(subject: str) -> bool:
    """Return whether a subject begins like that of a reply or a forwarded message."""
    return _PREFIX.match(subject) is not None


def strip_reply_prefixes(subject: str) -> str:
    """Return a subject without the prefixes of replies and forwarded messages at its start."""
    match = _PREFIX.match(subject)
    return subject[match.end() :] if match else subject

"""Separates the words that a sender wrote in a subject from the prefixes of mail programs and the answered subject."""

import re
from dataclasses import dataclass

MAX_SUBJECT_CHARACTERS = 400

_WORD = (
    r"(?:re|fwd?|aw|wg|antw|antwort|antwoord|sv|vs|tr|réponse|rv|res|enc|odp|vl|vb|vá|ynt|ilt|yht|atb|rif|bls|doorst"
    r"|továbbítás|отв|ответ|σχετ|απ|תשובה|השב|رد|回复|答复|回覆|转发|轉寄|返信|転送|답장|회신|전달)"
)
_PREFIX = re.compile(
    rf"\s*(?:\[[^\]]*\]\s*)?(?:{_WORD}\s?(?:\[\d+\]|\(\d+\))?\s?[:\uff1a]\s*)+",
    re.IGNORECASE,
)
"""The prefixes of mail programs in their languages, also after a tag as in `[EXTERNAL] Re: Hello`; the colon may be a
fullwidth one."""
_INNER_PREFIX = re.compile(rf"(?<!\w){_WORD}\s?(?:\[\d+\])?\s?[:\uff1a]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject without reply prefixes, and the words that the sender wrote.

    `is_unclear` if it is the subject of a reply to a mail whose subject is not known, so that anyone may have written
    it.
    """

    title: str
    own: str
    is_unclear: bool = False


def has_reply_prefix(subject: str) -> bool:
    """Return whether a subject begins like that of a reply or a forwarded message."""
    return _PREFIX.match(subject) is not None


def strip_reply_prefixes(subject: str) -> str:
    """Return a subject without the prefixes of replies and forwarded messages at its start."""
    match = _PREFIX.match(subject)
    return subject[match.end() :] if match else subject


def split_subject(subject: str, sent_subject: str = "") -> Subject:
    """Return the words of a subject that its sender wrote: before `Re:`, or beside the subject of the answered mail."""
    subject = " ".join(subject[:MAX_SUBJECT_CHARACTERS].split())
    sent = strip_reply_prefixes(" ".join(sent_subject[:MAX_SUBJECT_CHARACTERS].split()))
    title = strip_reply_prefixes(subject)
    if title == subject and (inner := _INNER_PREFIX.search(subject)):
        before = subject[: inner.start()].strip(" -:|,.")
        if before:
            return Subject(title=title, own=before)
    if sent:
        before, found, after = title.casefold().partition(sent.casefold())
        if found:
            return Subject(title=title, own=f"{before} {after}".strip(" -:|,.()"))
    if title == subject:
        return Subject(title=title, own=title)
    return Subject(title=title, own="", is_unclear=True)

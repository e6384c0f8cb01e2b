"""Recognises the mails by which mail programs unsubscribe at the press of a button, whatever their headers say."""

import re
import unicodedata

from email_text.authors import RawHeaders
from email_text.phrase_files import compile_phrases

MAX_WORDS = 60
"""How many words the text beside an unsubscribe subject may have; mail programs write a sentence or two."""

_SUBJECT = compile_phrases("unsubscribes", "unsubscribes", end=r"[\W_]*")
_PROGRAM = re.compile(
    r"\b(?:apple mail|icloud|gmail|google mail|yahoo|outlook|hotmail|aol|fastmail|proton|thunderbird|gmx|web\.de|zoho"
    r"|mail\.ru|yandex|naver|samsung email|spark|superhuman|hey\.com)\b",
    re.IGNORECASE,
)
_AUTOMATIC_HEADERS = frozenset({"auto-submitted", "x-autoreply", "x-autorespond", "x-auto-reply"})


def is_unsubscribe_mail(headers: RawHeaders, subject: str, text: str) -> bool:
    """Return whether a mail program or a person sent nothing but an unsubscribe.

    An answer's subject (`Re: …`) does not count, because it repeats ours.
    """
    if any(name.lower() == "x-apple-unsubscribe" and value.strip().lower() == "true" for name, value in headers):
        return True
    words = text.split(maxsplit=MAX_WORDS + 1)
    if len(words) > MAX_WORDS:
        return False
    body = _normalize(" ".join(words))
    if _SUBJECT.fullmatch(_normalize(subject)) is None:
        return not subject.strip() and _SUBJECT.fullmatch(body) is not None
    is_automatic = any(
        name.lower() in _AUTOMATIC_HEADERS and value.strip().lower() not in {"no", "false", ""}
        for name, value in headers
    )
    # What a person writes beside such a subject may say something else, so the words decide.
    return is_automatic or not body or _SUBJECT.fullmatch(body) is not None or _PROGRAM.search(body) is not None


def _normalize(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text.replace("\u2019", "'")).split()).strip(" \"'.!<>[]()*")

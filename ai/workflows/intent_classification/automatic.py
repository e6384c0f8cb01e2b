"""Recognizes automatic mail by its subject and text, in the languages of `absences.toml`."""

import re
from functools import cache

from ai.workflows.intent_classification.absence_words import fold_words, is_spaced, load_languages
from ai.workflows.intent_classification.date_order import SentAt
from ai.workflows.intent_classification.dates import find_return

MAX_SUBJECT_CHARACTERS = 200
MAX_NOTE_CHARACTERS = 1_500
"""How many characters of a text are searched for the words of a note; it says in its beginning what it is."""


def has_automatic_subject(subject: str) -> bool:
    """Return whether a subject begins with the name that mail programs give to automatic answers."""
    return _load_subjects().match(fold_words(subject[:MAX_SUBJECT_CHARACTERS])) is not None


def says_automatic(text: str) -> bool:
    """Return whether a text says that it is automatic."""
    return _load_notes("automatic").search(_flatten(text)) is not None


def is_absence_note(text: str, sent: SentAt) -> bool:
    """Return whether a text without a question says that its sender is away until a day that it names."""
    folded = _flatten(text)
    if "?" in folded or not _load_notes("absences").search(folded):
        return False
    return find_return(text, sent).day is not None


def _flatten(text: str) -> str:
    return " ".join(fold_words(text[:MAX_NOTE_CHARACTERS]).split())


@cache
def _load_subjects() -> re.Pattern[str]:
    words = [word for table in load_languages().values() for word in table["subjects"]]
    spaced = "|".join(word for word in words if is_spaced(word))
    others = "|".join(word for word in words if not is_spaced(word))
    # The English `auto:` has its end itself.
    ends = r"(?:(?<=:)|(?=\s*(?:[:.,;!(\[\u2013-]|\Z|(?:re|aw|sv|fwd?)\b)))"
    return re.compile(rf"(?:\[[^\]]{{1,20}}\]\s*)?\W{{0,3}}(?:(?:{spaced}){ends}|(?:{others}))")


@cache
def _load_notes(name: str) -> re.Pattern[str]:
    words = [word for table in load_languages().values() for word in table.get(name, ())]
    return re.compile("|".join(rf"(?<!\w){word}" if is_spaced(word) else word for word in words))

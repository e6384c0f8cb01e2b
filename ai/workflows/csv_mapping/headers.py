"""Reads from a header which field its column holds, and how clearly it says so."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from ai.workflows.csv_mapping.tables import read_table
from domain.words import fold_words

SHORTEST_PART = 3
"""Two known words of so many letters are read even where they are written as one: `firstname`, `kontaktvorname`."""


class Topic(StrEnum):
    """What a header is about; the values are the groups of words/headers.toml."""

    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    FULL_NAME = "full_name"
    NAME = "name"  # first, last, full or a company's: what stands beside it decides
    EMAIL = "email"
    COMPANY = "company"
    ROLE = "role"
    SEGMENT = "segment"
    EMPLOYEES = "employees"
    TIMEZONE = "timezone"
    ROW_NUMBER = "row_number"
    COLLEAGUE = "colleague"  # a person other than the lead
    ADDRESS = "address"
    OTHER = "other"
    UNKNOWN = "unknown"
    UNNAMED = "unnamed"


# Of several topics in a header, the first one says what the column holds and the others whose it is.
PRECEDENCE = (
    Topic.COLLEAGUE,
    Topic.OTHER,
    Topic.EMPLOYEES,
    Topic.TIMEZONE,
    Topic.SEGMENT,
    Topic.FIRST_NAME,
    Topic.LAST_NAME,
    Topic.ROLE,
)


def _topics(phrases: Mapping[str, list[str]]) -> dict[str, Topic]:
    return {phrase: Topic(topic) for topic, group in phrases.items() for phrase in group}


_TABLE = read_table("headers")
_ANYWHERE, _ALONE = _topics(_TABLE["anywhere"]), _topics(_TABLE["alone"])
_MODIFIERS = {name: frozenset(words) for name, words in _TABLE["modifiers"].items()}
_STOP_WORDS, _WORK, _SECONDARY = (_MODIFIERS[name] for name in ("stop_words", "work", "secondary"))
_SILENT = _STOP_WORDS | _WORK | _SECONDARY
_JOINED = _MODIFIERS["joined"] | {
    word for phrase in [*_ANYWHERE, *_ALONE, *_SILENT] for word in phrase.split() if len(word) >= SHORTEST_PART
}
_WHOLE = _JOINED | _STOP_WORDS | _MODIFIERS["placeholders"]
_LONGEST = max(len(phrase.split()) for phrase in _ANYWHERE)
_NAMES = {Topic.NAME, Topic.FULL_NAME}

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_DIGITS = re.compile(r"\d+")
_E_MAIL = re.compile(r"\be (?=mail|pos)")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a header is about, its words, how many of them are not known, and whether it has one topic only."""

    topic: Topic
    words: frozenset[str] = field(default_factory=frozenset)
    unknown_words: int = 0
    has_one_topic: bool = True

    @property
    def is_work(self) -> bool:
        """Tell whether the header says that the column is about work."""
        return not self.words.isdisjoint(_WORK)

    @property
    def is_secondary(self) -> bool:
        """Tell whether the header says that there is a better column of its kind."""
        return not self.words.isdisjoint(_SECONDARY)


@lru_cache(maxsize=4_096)
def meaning_of(header: str) -> Meaning:
    """Return what a header is about."""
    tokens = [part for word in _words_of(header) for part in _parts(word)]
    if _MODIFIERS["placeholders"].issuperset(tokens):
        return Meaning(Topic.UNNAMED if header.strip() != "#" else Topic.ROW_NUMBER)
    words = frozenset(tokens)
    for reading in (tokens, [token for token in tokens if token not in _STOP_WORDS]):
        if topic := _ALONE.get(" ".join(reading)):
            return Meaning(topic, words)
    topics, unknown_words = _topics_in(tokens)
    return Meaning(_leading_topic(topics, tokens), words, unknown_words, has_one_topic=len(topics) == 1)


def _words_of(header: str) -> list[str]:
    """Return a header's words: `E-Mail_Adresse 1` and `EMailAdresse` alike; numbers are left out."""
    spaced = _CAMEL.sub(" ", header) if not header.isupper() else header
    words = " ".join(_DIGITS.sub(" ", fold_words(spaced)).split())
    return _E_MAIL.sub("e", words).split()


def _parts(word: str) -> list[str]:
    """Return a word without the s of a genitive or plural, or the two known words that it is written together from."""
    if word in _WHOLE:
        return [word]
    if word.removesuffix("s") in _JOINED:
        return [word.removesuffix("s")]
    for cut in range(len(word) - 2, SHORTEST_PART - 1, -1):
        head, tail = word[:cut], word[cut:]
        for known in (head, head.removesuffix("s")):
            if known in _JOINED and tail in _JOINED:
                return [known, tail]
    return [word]


def _topics_in(tokens: list[str]) -> tuple[set[Topic], int]:
    """Return the topics of the longest known phrases, and how many words are not known."""
    topics, unknown_words, start = set(), 0, 0
    while start < len(tokens):
        for end in range(min(start + _LONGEST, len(tokens)), start, -1):
            if topic := _ANYWHERE.get(" ".join(tokens[start:end])):
                topics.add(topic)
                break
        else:
            unknown_words += tokens[start] not in _SILENT
        start = end
    return topics, unknown_words


def _leading_topic(topics: set[Topic], tokens: list[str]) -> Topic:
    """Return the topic that says what the column holds."""
    topics = set(topics)
    if Topic.COMPANY in topics and not topics & _NAMES:
        # A company's size, or a post in it, in whatever order and with whatever words between.
        topics |= {_ALONE.get(token, Topic.COMPANY) for token in tokens} & {Topic.EMPLOYEES, Topic.ROLE}
    others = {token for token in tokens if _ANYWHERE.get(token) is Topic.OTHER}
    if Topic.EMPLOYEES in topics and others <= _MODIFIERS["counted"]:
        topics.discard(Topic.OTHER)
    if {Topic.EMPLOYEES, Topic.ADDRESS} <= topics:  # an employee's id or address
        return Topic.OTHER
    if {Topic.FIRST_NAME, Topic.LAST_NAME} <= topics:
        return Topic.FULL_NAME
    leading = next((topic for topic in PRECEDENCE if topic in topics), None)
    return leading or _owned_topic(topics, tokens)


def _owned_topic(topics: set[Topic], tokens: list[str]) -> Topic:
    """Tell a company's name or address from that of a person, or of a person in a company."""
    is_company = Topic.COMPANY in topics and not _ends_in_person(tokens)
    if topics & _NAMES:
        return Topic.COMPANY if is_company else Topic.FULL_NAME if Topic.FULL_NAME in topics else Topic.NAME
    if Topic.EMAIL in topics:
        return Topic.EMAIL
    if Topic.ADDRESS in topics:  # an address in a street, an id
        return Topic.OTHER
    if is_company:
        return Topic.COMPANY
    return Topic.NAME if any(_ALONE.get(token) is Topic.NAME for token in tokens) else Topic.UNKNOWN


def _ends_in_person(tokens: list[str]) -> bool:
    """Tell whether a header goes on from the company to a person in it: `Company Contact Name`."""
    after = [token for token in tokens if _ANYWHERE.get(token) not in _NAMES]
    return bool(after) and _ALONE.get(after[-1]) is Topic.NAME

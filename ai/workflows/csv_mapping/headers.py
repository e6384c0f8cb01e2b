"""Determines from a header which field its column contains, and how clear the header is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from ai.workflows.csv_mapping.tables import read_table
from domain.words import fold_words

MIN_PART_LETTERS = 3
"""Two known words of at least this many letters are recognized in one word: `firstname`, `kontaktvorname`."""


class Topic(StrEnum):
    """The topic of a header; the values are the groups of words/headers.toml."""

    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    FULL_NAME = "full_name"
    NAME = "name"  # first, last, full or a company's: the other columns decide
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


# Of several topics in a header, the first in this order is the content of the column. The others say whose it is.
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


def _index_phrases(phrases: Mapping[str, list[str]]) -> dict[str, Topic]:
    return {phrase: Topic(topic) for topic, group in phrases.items() for phrase in group}


_TABLE = read_table("headers")
_ANYWHERE, _ALONE = _index_phrases(_TABLE["anywhere"]), _index_phrases(_TABLE["alone"])
_MODIFIERS = {name: frozenset(words) for name, words in _TABLE["modifiers"].items()}
_STOP_WORDS, _WORK, _SECONDARY = (_MODIFIERS[name] for name in ("stop_words", "work", "secondary"))
_TOPICLESS = _STOP_WORDS | _WORK | _SECONDARY
_JOINED = _MODIFIERS["joined"] | {
    word for phrase in [*_ANYWHERE, *_ALONE, *_TOPICLESS] for word in phrase.split() if len(word) >= MIN_PART_LETTERS
}
_LONGEST_SPLIT = 2 * max(map(len, _JOINED)) + 1
"""A longer word does not consist of two known words and an s."""
_UNSPLIT = _JOINED | _STOP_WORDS | _MODIFIERS["placeholders"]
_MAX_PHRASE_WORDS = max(len(phrase.split()) for phrase in _ANYWHERE)
_NAMES = {Topic.NAME, Topic.FULL_NAME}

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_DIGITS = re.compile(r"\d+")
_E_MAIL = re.compile(r"\be (?=mail|pos)")


@dataclass(frozen=True, slots=True)
class Meaning:
    """The topic of a header, its words, the number of unknown words, and whether it has only one topic."""

    topic: Topic
    words: frozenset[str] = field(default_factory=frozenset)
    unknown_words: int = 0
    has_one_topic: bool = True

    @property
    def is_work(self) -> bool:
        """Return whether the header has a word for work."""
        return not self.words.isdisjoint(_WORK)

    @property
    def is_secondary(self) -> bool:
        """Return whether the header has a word for a secondary column, such as `alternative`."""
        return not self.words.isdisjoint(_SECONDARY)


@lru_cache(maxsize=4_096)
def read_header(header: str) -> Meaning:
    """Return the meaning of a header."""
    tokens = [part for word in _split_header(header) for part in _split_word(word)]
    if _MODIFIERS["placeholders"].issuperset(tokens):
        return Meaning(Topic.UNNAMED if header.strip() != "#" else Topic.ROW_NUMBER)
    words = frozenset(tokens)
    for reading in (tokens, [token for token in tokens if token not in _STOP_WORDS]):
        if topic := _ALONE.get(" ".join(reading)):
            return Meaning(topic, words)
    topics, unknown_words = _find_topics(tokens)
    return Meaning(_choose_topic(topics, tokens), words, unknown_words, has_one_topic=len(topics) == 1)


def _split_header(header: str) -> list[str]:
    """Return the words of a header without numbers; `E-Mail_Adresse 1` and `EMailAdresse` have the same words."""
    spaced = _CAMEL.sub(" ", header) if not header.isupper() else header
    words = " ".join(_DIGITS.sub(" ", fold_words(spaced)).split())
    return _E_MAIL.sub("e", words).split()


def _split_word(word: str) -> list[str]:
    """Return a word without a genitive or plural s, or the two known words that it consists of."""
    if word in _UNSPLIT or len(word) > _LONGEST_SPLIT:
        return [word]
    if word.removesuffix("s") in _JOINED:
        return [word.removesuffix("s")]
    for cut in range(len(word) - 2, MIN_PART_LETTERS - 1, -1):
        head, tail = word[:cut], word[cut:]
        for known in (head, head.removesuffix("s")):
            if known in _JOINED and tail in _JOINED:
                return [known, tail]
    return [word]


def _find_topics(tokens: list[str]) -> tuple[set[Topic], int]:
    """Return the topics of the longest known phrases, and the number of unknown words."""
    topics, unknown_words, start = set(), 0, 0
    while start < len(tokens):
        for end in range(min(start + _MAX_PHRASE_WORDS, len(tokens)), start, -1):
            if topic := _ANYWHERE.get(" ".join(tokens[start:end])):
                topics.add(topic)
                break
        else:
            unknown_words += tokens[start] not in _TOPICLESS
        start = end
    return topics, unknown_words


def _choose_topic(topics: set[Topic], tokens: list[str]) -> Topic:
    """Return the topic of the column's content."""
    topics = set(topics)
    if Topic.COMPANY in topics and not topics & _NAMES:
        # A company's size or a role in it, in any order and with any words between.
        topics |= {_ALONE.get(token, Topic.COMPANY) for token in tokens} & {Topic.EMPLOYEES, Topic.ROLE}
    others = {token for token in tokens if _ANYWHERE.get(token) is Topic.OTHER}
    if Topic.EMPLOYEES in topics and others <= _MODIFIERS["counted"]:
        topics.discard(Topic.OTHER)
    if {Topic.EMPLOYEES, Topic.ADDRESS} <= topics:  # an employee's id or address
        return Topic.OTHER
    if {Topic.FIRST_NAME, Topic.LAST_NAME} <= topics:
        return Topic.FULL_NAME
    leading = next((topic for topic in PRECEDENCE if topic in topics), None)
    return leading or _choose_owned_topic(topics, tokens)


def _choose_owned_topic(topics: set[Topic], tokens: list[str]) -> Topic:
    """Distinguish the name or address of a company from that of a person, or of a person in a company."""
    is_company = Topic.COMPANY in topics and not _ends_in_person(tokens)
    if topics & _NAMES:
        return Topic.COMPANY if is_company else Topic.FULL_NAME if Topic.FULL_NAME in topics else Topic.NAME
    if Topic.EMAIL in topics:
        return Topic.EMAIL
    if Topic.ADDRESS in topics:  # a street address or an id
        return Topic.OTHER
    if is_company:
        return Topic.COMPANY
    return Topic.NAME if any(_ALONE.get(token) is Topic.NAME for token in tokens) else Topic.UNKNOWN


def _ends_in_person(tokens: list[str]) -> bool:
    """Return whether a person follows the company in a header: `Company Contact Name`."""
    after = [token for token in tokens if _ANYWHERE.get(token) not in _NAMES]
    return bool(after) and _ALONE.get(after[-1]) is Topic.NAME

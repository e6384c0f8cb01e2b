"""Understands a header: which topic it speaks of, and how plainly."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from ai.workflows.csv_mapping.header_words import (
    ADDRESS,
    ALONE,
    BUSINESS,
    LESSER,
    OWNERSHIP,
    PHRASES,
    PLACEHOLDERS,
    Topic,
)
from ai.workflows.csv_mapping.spare_words import SPARE
from ai.workflows.csv_mapping.words import tokens_of

LONGEST_PHRASE = 5
# Two known words written as one, the shorter ones left to chance: `firstname`, `kontaktvorname`, `companyid`.
SHORTEST_PART = 3

# Of several topics in a header, the first one says what the column holds and the others whose it is.
PRECEDENCE = (
    Topic.COLLEAGUE,
    Topic.SPARE,
    Topic.EMPLOYEES,
    Topic.TIMEZONE,
    Topic.SEGMENT,
    Topic.FIRST_NAME,
    Topic.LAST_NAME,
    Topic.ROLE,
)

_ANYWHERE: Mapping[str, Topic] = {
    **dict.fromkeys(SPARE, Topic.SPARE),
    **{phrase: topic for topic, known in PHRASES.items() for phrase in known},
}
# Where employees are counted, not what else is known of them.
_COUNTED_AT = frozenset({"linkedin", "site", "location", "range", "year", "type"})
_NAMES = {Topic.NAME, Topic.FULL_NAME}
_ALONE: Mapping[str, Topic] = {phrase: topic for topic, known in ALONE.items() for phrase in known}
_WORDS = frozenset(
    word
    for phrase in [*_ANYWHERE, *_ALONE, *OWNERSHIP, *BUSINESS, *LESSER, *ADDRESS]
    for word in phrase.split()
    if len(word) >= SHORTEST_PART
) | {"id"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a header speaks of; `strange` counts its words that are not known.

    `is_plain` says that no other topic is in it.
    """

    topic: Topic
    words: frozenset[str] = field(default_factory=frozenset)
    strange: int = 0
    is_plain: bool = True

    @property
    def is_business(self) -> bool:
        """Tell whether the header speaks of work."""
        return not self.words.isdisjoint(BUSINESS)

    @property
    def is_lesser(self) -> bool:
        """Tell whether the header says that there is a better column of its kind."""
        return not self.words.isdisjoint(LESSER)


@lru_cache(maxsize=4_096)
def meaning_of(header: str) -> Meaning:
    """Return what a header speaks of."""
    tokens = [part for word in tokens_of(header) for part in _parts(word)]
    if set(tokens) <= PLACEHOLDERS:
        return Meaning(Topic.UNNAMED if header.strip() != "#" else Topic.COUNTER)
    words = frozenset(tokens)
    for reading in _readings(tokens):
        if topic := _ALONE.get(reading):
            return Meaning(topic, words)
    topics, strange = _topics_in(tokens)
    topic = _leading(topics, tokens)
    return Meaning(topic, words, strange, is_plain=len(set(topics)) == 1)


def _parts(word: str) -> list[str]:
    """Return a word without the s of a genitive or plural, or the two known words that it is written together from."""
    if word in _WORDS or word in OWNERSHIP or word in PLACEHOLDERS:
        return [word]
    if word.removesuffix("s") in _WORDS:
        return [word.removesuffix("s")]
    for cut in range(len(word) - 2, SHORTEST_PART - 1, -1):
        head, tail = word[:cut], word[cut:]
        for known in (head, head.removesuffix("s")):
            if known in _WORDS and tail in _WORDS:
                return [known, tail]
    return [word]


def _readings(tokens: list[str]) -> list[str]:
    """Return a header as it is, then without words that only say whose it is."""
    bare = [token for token in tokens if token not in OWNERSHIP]
    return [" ".join(tokens), " ".join(bare)]


def _topics_in(tokens: list[str]) -> tuple[list[Topic], int]:
    """Return the topics of the longest known phrases in order, and how many words are not known."""
    topics, strange, at = [], 0, 0
    while at < len(tokens):
        for length in range(min(LONGEST_PHRASE, len(tokens) - at), 0, -1):
            if topic := _ANYWHERE.get(" ".join(tokens[at : at + length])):
                topics.append(topic)
                break
        else:
            length = 1
            word = tokens[at]
            if word in ADDRESS:
                topics.append(Topic.UNNAMED)
            elif not (word in OWNERSHIP or word in BUSINESS or word in LESSER):
                strange += 1
        at += length
    return topics, strange


def _leading(topics: list[Topic], tokens: list[str]) -> Topic:
    """Return the topic that says what the column holds."""
    found = set(topics)
    if Topic.COMPANY in found and not found & _NAMES:
        # A company's size, or a post in it, in whatever order and with whatever words between.
        found |= {_ALONE.get(token, Topic.COMPANY) for token in tokens} & {Topic.EMPLOYEES, Topic.ROLE}
    if Topic.EMPLOYEES in found and SPARE.intersection(tokens) <= _COUNTED_AT:
        found.discard(Topic.SPARE)
    if {Topic.EMPLOYEES, Topic.UNNAMED} <= found:  # an employee's id or address
        return Topic.SPARE
    if {Topic.FIRST_NAME, Topic.LAST_NAME} <= found:
        return Topic.FULL_NAME
    leading = next((topic for topic in PRECEDENCE if topic in found), None)
    return leading or _owned(found, tokens)


def _owned(found: set[Topic], tokens: list[str]) -> Topic:
    """Tell a company's name or address from that of a person, or of somebody in a company."""
    is_company = Topic.COMPANY in found and not _ends_in_person(tokens)
    if found & _NAMES:
        return Topic.COMPANY if is_company else Topic.FULL_NAME if Topic.FULL_NAME in found else Topic.NAME
    if Topic.EMAIL in found:
        return Topic.EMAIL
    if Topic.UNNAMED in found:  # an address in a street, an id
        return Topic.SPARE
    if is_company:
        return Topic.COMPANY
    return Topic.NAME if any(_ALONE.get(token) is Topic.NAME for token in tokens) else Topic.UNKNOWN


def _ends_in_person(tokens: list[str]) -> bool:
    """Tell whether a header goes on from the company to somebody in it: `Company Contact Name`."""
    after = [token for token in tokens if _ANYWHERE.get(token) not in _NAMES]
    return bool(after) and _ALONE.get(after[-1]) is Topic.NAME

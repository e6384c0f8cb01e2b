"""Classifies values without their header: the kinds of one value, and the shares of kinds in a column."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise

from ai.workflows.csv_mapping.tables import read_table
from domain.words import fold_words

LONG_TEXT_CHARACTERS = 60
LONG_TEXT_WORDS = 8
MIN_COUNTED = 3
MAX_COUNTER_DIGITS = 12
MAX_COUNT_DIGITS = 40
"""The maximum number of digits of a count; Python refuses to convert thousands of digits."""
MOSTLY = 0.6
HALF = 0.5


class Kind(StrEnum):
    """The kind of a value; a value may be of several kinds. The values are the groups of words/values.toml."""

    EMAIL = "email"
    URL = "url"
    PHONE = "phone"
    NUMBER = "number"
    COUNT = "count"  # of people: a whole number or a range of them
    DATE = "date"
    TIMEZONE = "timezone"
    ANSWER = "answer"  # yes, no and similar
    IDENTIFIER = "identifier"
    SALUTATION = "salutation"
    SIZE_CLASS = "size_class"
    LONG_TEXT = "long_text"
    SIZE = "size"
    SIZE_RANGE = "size_range"  # with the usual bounds of company sizes
    COUNTRY = "country"
    NAME = "name"  # has the letters of a person's name
    TWO_WORDS = "two_words"
    GIVEN_NAME = "given_name"  # begins with a known given name
    ROLE = "role"
    COMPANY = "company"


# Kinds that are no name, role or company. Of kinds with equal shares the first one is the main kind.
FORMATS = (
    Kind.EMAIL, Kind.URL, Kind.PHONE, Kind.NUMBER, Kind.COUNT, Kind.DATE, Kind.TIMEZONE, Kind.ANSWER,
)  # fmt: skip
NOT_TEXT = (*FORMATS, Kind.IDENTIFIER, Kind.SALUTATION, Kind.SIZE_CLASS)

_TABLE = read_table("values")
_EXACT = {Kind(kind): frozenset(words) for kind, words in _TABLE["exact"].items()}
_WORDS = {Kind(kind): frozenset(words) for kind, words in _TABLE["words"].items()}
COMPANY_WORDS = _WORDS[Kind.COMPANY]
_ROLE_ENDINGS = tuple(_TABLE["endings"]["role"])
_GIVEN_NAMES = frozenset(read_table("given_names")["given_names"])
_RANGE_FROM, _RANGE_TO = (frozenset(_TABLE["size_ranges"][bound]) for bound in ("from", "to"))


def _compile(pattern: str) -> re.Pattern[str]:
    for name, part in _TABLE["parts"].items():
        pattern = pattern.replace(f"<{name}>", part)
    return re.compile(pattern)


_PATTERNS = {name: _compile(pattern) for name, pattern in _TABLE["patterns"].items()}


@dataclass(frozen=True, slots=True)
class Shape:
    """The number of values of each kind among the `size` values of a column."""

    size: int = 0
    kinds: Counter[Kind] = field(default_factory=Counter)
    distinct: float = 0.0
    is_counting: bool = False

    def share(self, *kinds: Kind) -> float:
        """Return the share of values (0 to 1) of these kinds, counted one by one."""
        return min(sum(self.kinds[kind] for kind in kinds) / self.size, 1.0) if self.size else 0.0

    @property
    def is_text(self) -> bool:
        """Return whether the values could be names, roles or companies."""
        return max(map(self.share, NOT_TEXT)) < HALF and self.share(*FORMATS) < MOSTLY

    @property
    def main_kind(self) -> Kind | None:
        """The kind of most values, of the kinds that are no names, or None."""
        kind = max((*NOT_TEXT, Kind.LONG_TEXT), key=self.share)
        return kind if self.share(kind) >= MOSTLY else None


def measure_shape(values: Sequence[str]) -> Shape:
    """Return the shape of a column's values, which has no blanks."""
    kinds = Counter(kind for value in values for kind in classify_value(value))
    distinct = len(set(values)) / len(values) if values else 0.0
    return Shape(len(values), kinds, distinct, _is_counting(values))


@lru_cache(maxsize=65_536)
def classify_value(value: str) -> tuple[Kind, ...]:
    """Return the kinds of one value."""
    if "@" in value:
        is_long = len(value) > LONG_TEXT_CHARACTERS
        return (Kind.EMAIL,) if _matches(Kind.EMAIL, value) else (Kind.LONG_TEXT,) if is_long else ()
    words = fold_words(value)
    if words in _EXACT[Kind.ANSWER]:
        digit = (Kind.NUMBER, Kind.COUNT) if value.isdecimal() else ()
        return (Kind.ANSWER, *(digit or _find_exact(words, Kind.SIZE, Kind.SALUTATION)))
    return _classify_number(value) or _classify_format(value) or _classify_text(value, words)


def _matches(name: str, value: str) -> bool:
    return _PATTERNS[name].fullmatch(value) is not None


def _find_exact(words: str, *kinds: Kind) -> tuple[Kind, ...]:
    return tuple(kind for kind in kinds if words in _EXACT[kind])


def _classify_number(value: str) -> tuple[Kind, ...]:
    if not any(map(str.isdigit, value)):
        return ()
    if _matches(Kind.DATE, value):
        return (Kind.DATE,)
    is_phone = _matches(Kind.PHONE, value)
    if is_phone and value[0] == "+":
        return (Kind.PHONE,)
    if count := _PATTERNS[Kind.COUNT].fullmatch(value):
        return _classify_count(value, count, is_phone=is_phone)
    if _matches(Kind.NUMBER, value) or _matches("money", value):
        return (Kind.NUMBER,)
    return (Kind.PHONE,) if is_phone else ()


def _classify_count(value: str, count: re.Match[str], *, is_phone: bool) -> tuple[Kind, ...]:
    """Distinguish numbers of people from telephone numbers, which may look the same."""
    low, high = _to_number(count["low"]), _to_number(count["high"] or "0")
    if low in _RANGE_FROM and (high in _RANGE_TO or (count["more"] and not high)):
        return (Kind.COUNT, Kind.SIZE_RANGE)
    if _matches(Kind.NUMBER, value):
        return (Kind.COUNT, Kind.PHONE if is_phone and not value.isdecimal() else Kind.NUMBER)
    if is_phone and not low < high:
        return (Kind.PHONE,)
    return (Kind.COUNT,) if high or value[0] in "<>~≥≤±0123456789" else ()


def _to_number(text: str) -> int:
    number = int(re.sub(r"\D", "", text)[:MAX_COUNT_DIGITS])
    return number * 1000 if text.rstrip()[-1] in "kK" else number


def _classify_format(value: str) -> tuple[Kind, ...]:
    if _matches(Kind.TIMEZONE, value):
        return (Kind.TIMEZONE,)
    if "." in value and _matches(Kind.URL, value):
        return (Kind.URL,)
    return (Kind.IDENTIFIER,) if not value.isalpha() and _matches(Kind.IDENTIFIER, value) else ()


def _classify_text(value: str, words: str) -> tuple[Kind, ...]:
    if kinds := _find_exact(words, Kind.SALUTATION, Kind.SIZE_CLASS):
        return kinds
    parts = words.split()
    if len(value) > LONG_TEXT_CHARACTERS or len(parts) > LONG_TEXT_WORDS:
        return (Kind.LONG_TEXT,)
    has_role = not _WORDS[Kind.ROLE].isdisjoint(parts) or any(part.endswith(_ROLE_ENDINGS) for part in parts)
    flags = {
        Kind.ROLE: has_role,
        Kind.COMPANY: not COMPANY_WORDS.isdisjoint(parts[1:]),
        Kind.NAME: _matches(Kind.NAME, value) and not value[0].islower(),
        Kind.TWO_WORDS: len(parts) > 1,
        Kind.GIVEN_NAME: not _GIVEN_NAMES.isdisjoint(parts[:1]),
    }
    return (*_find_exact(words, Kind.SIZE, Kind.COUNTRY), *(kind for kind, has_kind in flags.items() if has_kind))


def _is_counting(values: Sequence[str]) -> bool:
    if len(values) < MIN_COUNTED or not all(value.isdecimal() and len(value) < MAX_COUNTER_DIGITS for value in values):
        return False
    numbers = [int(value) for value in values]
    return all(later == earlier + 1 for earlier, later in pairwise(numbers))

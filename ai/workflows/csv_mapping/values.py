"""Tells what values look like, whatever their header says: the kinds of one value, and their shares in a column."""

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
"""How many digits of a count are compared: nothing counts further, and Python refuses to read thousands of digits."""
MOSTLY = 0.6
HALF = 0.5


class Kind(StrEnum):
    """What one value looks like; a value may be of several kinds. The values are the groups of words/values.toml."""

    EMAIL = "email"
    URL = "url"
    PHONE = "phone"
    NUMBER = "number"
    COUNT = "count"  # of people: a whole number or a range of them
    DATE = "date"
    TIMEZONE = "timezone"
    ANSWER = "answer"  # yes, no and what else ticks a box
    IDENTIFIER = "identifier"
    SALUTATION = "salutation"
    SIZE_CLASS = "size_class"
    LONG_TEXT = "long_text"
    SIZE = "size"
    SIZE_RANGE = "size_range"  # with the bounds by which companies are classed
    COUNTRY = "country"
    NAME = "name"  # could be a person's, by its letters
    TWO_WORDS = "two_words"
    GIVEN_NAME = "given_name"  # begins with one that is known
    ROLE = "role"
    COMPANY = "company"


# None of these is a name, a title or a company; the first of equals is what a column is taken for.
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


def _compiled(pattern: str) -> re.Pattern[str]:
    for name, part in _TABLE["parts"].items():
        pattern = pattern.replace(f"<{name}>", part)
    return re.compile(pattern)


_PATTERNS = {name: _compiled(pattern) for name, pattern in _TABLE["patterns"].items()}


@dataclass(frozen=True, slots=True)
class Shape:
    """How many of a column's `size` values are of each kind; a column without values has no kind."""

    size: int = 0
    kinds: Counter[Kind] = field(default_factory=Counter)
    distinct: float = 0.0
    is_counting: bool = False

    def share(self, *kinds: Kind) -> float:
        """Return which share of the values (0 to 1) is of these kinds, counted one by one."""
        return min(sum(self.kinds[kind] for kind in kinds) / self.size, 1.0) if self.size else 0.0

    @property
    def is_text(self) -> bool:
        """Tell whether the values could be names, titles or companies at all."""
        return max(map(self.share, NOT_TEXT)) < HALF and self.share(*FORMATS) < MOSTLY

    @property
    def main_kind(self) -> Kind | None:
        """The kind that most values have, of those that are no names, if there is one."""
        kind = max((*NOT_TEXT, Kind.LONG_TEXT), key=self.share)
        return kind if self.share(kind) >= MOSTLY else None


def shape_of(values: Sequence[str]) -> Shape:
    """Return the shape of a column's values, blanks left out."""
    kinds = Counter(kind for value in values for kind in kinds_of(value))
    distinct = len(set(values)) / len(values) if values else 0.0
    return Shape(len(values), kinds, distinct, _counts_up(values))


@lru_cache(maxsize=65_536)
def kinds_of(value: str) -> tuple[Kind, ...]:
    """Return the kinds of one value."""
    if "@" in value:
        is_long = len(value) > LONG_TEXT_CHARACTERS
        return (Kind.EMAIL,) if _is(Kind.EMAIL, value) else (Kind.LONG_TEXT,) if is_long else ()
    words = fold_words(value)
    if words in _EXACT[Kind.ANSWER]:
        digit = (Kind.NUMBER, Kind.COUNT) if value.isdecimal() else ()
        return (Kind.ANSWER, *(digit or _exact(words, Kind.SIZE, Kind.SALUTATION)))
    return _numeric(value) or _formatted(value) or _textual(value, words)


def _is(name: str, value: str) -> bool:
    return _PATTERNS[name].fullmatch(value) is not None


def _exact(words: str, *kinds: Kind) -> tuple[Kind, ...]:
    return tuple(kind for kind in kinds if words in _EXACT[kind])


def _numeric(value: str) -> tuple[Kind, ...]:
    if not any(map(str.isdigit, value)):
        return ()
    if _is(Kind.DATE, value):
        return (Kind.DATE,)
    is_phone = _is(Kind.PHONE, value)
    if is_phone and value[0] == "+":
        return (Kind.PHONE,)
    if count := _PATTERNS[Kind.COUNT].fullmatch(value):
        return _counted(value, count, is_phone=is_phone)
    if _is(Kind.NUMBER, value) or _is("money", value):
        return (Kind.NUMBER,)
    return (Kind.PHONE,) if is_phone else ()


def _counted(value: str, count: re.Match[str], *, is_phone: bool) -> tuple[Kind, ...]:
    """Tell numbers of people from numbers to call, which may be written the same."""
    low, high = _whole(count["low"]), _whole(count["high"] or "0")
    if low in _RANGE_FROM and (high in _RANGE_TO or (count["more"] and not high)):
        return (Kind.COUNT, Kind.SIZE_RANGE)
    if _is(Kind.NUMBER, value):
        return (Kind.COUNT, Kind.PHONE if is_phone and not value.isdecimal() else Kind.NUMBER)
    if is_phone and not low < high:
        return (Kind.PHONE,)
    return (Kind.COUNT,) if high or value[0] in "<>~≥≤±0123456789" else ()


def _whole(text: str) -> int:
    number = int(re.sub(r"\D", "", text)[:MAX_COUNT_DIGITS])
    return number * 1000 if text.rstrip()[-1] in "kK" else number


def _formatted(value: str) -> tuple[Kind, ...]:
    if _is(Kind.TIMEZONE, value):
        return (Kind.TIMEZONE,)
    if "." in value and _is(Kind.URL, value):
        return (Kind.URL,)
    return (Kind.IDENTIFIER,) if not value.isalpha() and _is(Kind.IDENTIFIER, value) else ()


def _textual(value: str, words: str) -> tuple[Kind, ...]:
    if kinds := _exact(words, Kind.SALUTATION, Kind.SIZE_CLASS):
        return kinds
    parts = words.split()
    if len(value) > LONG_TEXT_CHARACTERS or len(parts) > LONG_TEXT_WORDS:
        return (Kind.LONG_TEXT,)
    has_role = not _WORDS[Kind.ROLE].isdisjoint(parts) or any(part.endswith(_ROLE_ENDINGS) for part in parts)
    holds = {
        Kind.ROLE: has_role,
        Kind.COMPANY: not COMPANY_WORDS.isdisjoint(parts[1:]),
        Kind.NAME: _is(Kind.NAME, value) and not value[0].islower(),
        Kind.TWO_WORDS: len(parts) > 1,
        Kind.GIVEN_NAME: not _GIVEN_NAMES.isdisjoint(parts[:1]),
    }
    return (*_exact(words, Kind.SIZE, Kind.COUNTRY), *(kind for kind, is_held in holds.items() if is_held))


def _counts_up(values: Sequence[str]) -> bool:
    if len(values) < MIN_COUNTED or not all(value.isdecimal() and len(value) < MAX_COUNTER_DIGITS for value in values):
        return False
    numbers = [int(value) for value in values]
    return all(later == earlier + 1 for earlier, later in pairwise(numbers))

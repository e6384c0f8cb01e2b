"""What values look like, whatever stands above them: the kinds of one value, and their shares in a column."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise

from ai.workflows.csv_mapping import value_words
from ai.workflows.csv_mapping.given_names import GIVEN_NAMES
from ai.workflows.csv_mapping.words import fold

LONG_TEXT_CHARACTERS = 60
LONG_TEXT_WORDS = 8
MIN_COUNTED = 3
MAX_COUNTER_DIGITS = 12
MAX_COUNT_DIGITS = 40
"""How many digits of a count are compared: nothing counts further, and Python refuses to read thousands of digits."""
MOSTLY = 0.6
HALF = 0.5


class Kind(StrEnum):
    """What one value looks like; a value may be of several kinds."""

    EMAIL = "email"
    URL = "url"
    PHONE = "phone"
    NUMBER = "number"
    COUNT = "count"  # of people: a whole number or a range of them
    SIZE_RANGE = "size range"  # with the bounds by which companies are classed
    DATE = "date"
    ZONE = "zone"
    ANSWER = "answer"  # yes, no and what else ticks a box
    IDENTIFIER = "identifier"
    SALUTATION = "salutation"
    SIZE_CLASS = "size class"
    SIZE = "size"
    COUNTRY = "country"
    LONG = "long text"
    NAME = "name"  # could be a person's, by its letters
    TWO_WORDS = "two words"
    GIVEN = "given name"  # begins with one that is known
    ROLE = "role"
    COMPANY = "company"


# None of these is a name, a title or a company.
OTHER_THAN_TEXT = (
    Kind.EMAIL, Kind.URL, Kind.PHONE, Kind.NUMBER, Kind.COUNT, Kind.DATE, Kind.ZONE, Kind.ANSWER, Kind.IDENTIFIER,
    Kind.SALUTATION, Kind.SIZE_CLASS,
)  # fmt: skip

_ADDRESS = r"(?:mailto:)?[^@\s,;:<>\"()]+@[^@\s,;:<>\"()]+\.[^\W\d_]{2,}"
_EMAIL = re.compile(rf"(?:[^@]*<\s*{_ADDRESS}\s*>|{_ADDRESS})(?:\s*[,;/|]\s*(?:[^@]*<\s*)?{_ADDRESS}>?)*\s*[,;.]?")
_URL = re.compile(r"(?:https?://|www\.)\S+|(?:[a-z0-9-]+\.)+[a-z]{2,}(?:/\S*)?", re.IGNORECASE)
_PHONE = re.compile(r"(?:\D{0,8}:\s*)?['+(]?\+?\(?\d[\d\s().\-/]{5,}(?:\s*(?:x|ext\.?|#)\s*\d+)?", re.IGNORECASE)
_MONEY = re.compile(
    r"[-+(<>~]?\s*(?:[$€£¥]|[A-Z]{2,3}\$?\s?\d|R\$?\s?\d).*\d.*|[\d.,\s\-]+\s*(?:€|[A-Z]{3}|[kKmMbB]n?\b.*)"
)
_NUMBER = re.compile(r"[-+]?[\d.,\s']+%?")
_MONTHS = r"(?:jan|feb|m[aäe]r|apr|avr|ma[iy]|jun|jul|aug|ago|sep|o[ck]t|out|nov|de[cz]|dic|ene|gen|fév|août|juin|juil)"
_DATE = re.compile(
    r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\.?(?:[ T,].*)?"
    rf"|\d{{1,2}}\.?[ -](?:de )?{_MONTHS}\w*\.?[ -](?:de )?\d{{2,4}}(?:[ ,].*)?"
    rf"|(?:\w{{3,9}}, )?{_MONTHS}\w* \d{{1,2}},? \d{{4}}(?:[ ,].*)?",
    re.IGNORECASE,
)
_ZONE = re.compile(
    r"(?:Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Brazil|Canada|Europe|Indian|Mexico|Pacific|Etc|US)"
    r"/[A-Za-z_/+\-0-9]+|UTC|GMT",
    re.IGNORECASE,
)
_WHOLE = r"(?:\d{1,3}(?:[.,'\s\u00a0\u202f]\d{3})+|\d+)\s?[kK]?"
_COUNT = re.compile(
    rf"(?:[^\W\d]{{1,12}}\.?\s){{0,3}}[<>~≥≤±]?=?\s?(?P<low>{_WHOLE})"
    rf"(?:\s*(?:[-\u2013\u2014~]|\b[^\W\d]{{1,5}}\b)\s*(?P<high>{_WHOLE}))?\s*(?P<more>\+)?"
    r"(?:\s[^\W\d]+){0,2}"
)
_IDENTIFIER = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9_\-#/{}]{5,}|[0-9a-f]{12,}|[a-zA-Z0-9]{15,}")
_NAME = re.compile(r"[^\W\d_]+(?:[ '\u2019.,\-]+[^\W\d_]+){0,5}\.?")
_LOWS = frozenset(
    {0, 1, 2, 5, 6, 10, 11, 20, 21, 25, 26, 50, 51, 100, 101, 200, 201, 250, 251, 500, 501, 1000, 1001, 2000, 2001}
    | {2500, 2501, 5000, 5001, 10000, 10001}
)
_HIGHS = frozenset(
    {5, 9, 10, 19, 20, 24, 25, 49, 50, 99, 100, 199, 200, 249, 250, 499, 500, 999, 1000, 1999, 2000, 2499, 2500}
    | {4999, 5000, 9999, 10000}
)


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
        return max(map(self.share, OTHER_THAN_TEXT)) < HALF and self.share(*OTHER_THAN_TEXT[:8]) < MOSTLY

    @property
    def foremost(self) -> Kind | None:
        """The kind that most values have, of those that are no names, if any is theirs."""
        kind = max((*OTHER_THAN_TEXT, Kind.LONG), key=self.share)
        return kind if self.share(kind) >= MOSTLY else None


def shape_of(values: Sequence[str]) -> Shape:
    """Return the shape of a column's values, blanks left out."""
    kinds: Counter[Kind] = Counter()
    for value in values:
        kinds.update(kinds_of(value))
    distinct = len(set(values)) / len(values) if values else 0.0
    return Shape(len(values), kinds, distinct, _counts_up(values))


@lru_cache(maxsize=65_536)
def kinds_of(value: str) -> tuple[Kind, ...]:
    """Return the kinds of one value."""
    if "@" in value:
        return (Kind.EMAIL,) if _EMAIL.fullmatch(value) else (Kind.LONG,) if len(value) > LONG_TEXT_CHARACTERS else ()
    words = fold(value)
    if words in value_words.ANSWERS:
        return (Kind.ANSWER, Kind.NUMBER, Kind.COUNT) if value.isdecimal() else _answers(words)
    numeric = _numeric(value) if any(map(str.isdigit, value)) else ()
    return numeric or _formed(value) or _textual(value, words)


def is_free_mail(address: str) -> bool:
    """Tell whether an address is at a free mail service."""
    return address.rsplit("@", 1)[-1].strip(" >;,.").casefold() in value_words.FREE_MAIL


def _answers(words: str) -> tuple[Kind, ...]:
    sizes = (Kind.SIZE,) if words in value_words.SIZES else ()
    return (Kind.ANSWER, *sizes, *((Kind.SALUTATION,) if words in value_words.SALUTATIONS else ()))


def _formed(value: str) -> tuple[Kind, ...]:
    if _ZONE.fullmatch(value):
        return (Kind.ZONE,)
    if "." in value and _URL.fullmatch(value):
        return (Kind.URL,)
    return (Kind.IDENTIFIER,) if not value.isalpha() and _IDENTIFIER.fullmatch(value) else ()


def _numeric(value: str) -> tuple[Kind, ...]:
    if _DATE.fullmatch(value):
        return (Kind.DATE,)
    is_phone = bool(_PHONE.fullmatch(value))
    if is_phone and value[0] == "+":
        return (Kind.PHONE,)
    if found := _COUNT.fullmatch(value):
        return _counted(value, found, is_phone=is_phone)
    if _NUMBER.fullmatch(value) or _MONEY.fullmatch(value):
        return (Kind.NUMBER,)
    return (Kind.PHONE,) if is_phone else ()


def _counted(value: str, found: re.Match[str], *, is_phone: bool) -> tuple[Kind, ...]:
    """Tell numbers of people from numbers to call, which may be written the same."""
    low, high = _whole(found["low"]), _whole(found["high"] or "0")
    if low in _LOWS and (high in _HIGHS or (found["more"] and not high)):
        return (Kind.COUNT, Kind.SIZE_RANGE)
    if _NUMBER.fullmatch(value):
        return (Kind.COUNT, Kind.PHONE if is_phone and not value.isdecimal() else Kind.NUMBER)
    if is_phone and not low < high:
        return (Kind.PHONE,)
    return (Kind.COUNT,) if high or value[0] in "<>~≥≤±0123456789" else ()


def _whole(text: str) -> int:
    number = int(re.sub(r"\D", "", text)[:MAX_COUNT_DIGITS])
    return number * 1000 if text.rstrip()[-1] in "kK" else number


def _textual(value: str, words: str) -> tuple[Kind, ...]:
    if words in value_words.SALUTATIONS:
        return (Kind.SALUTATION,)
    if words in value_words.SIZE_CLASSES:
        return (Kind.SIZE_CLASS,)
    parts = words.split()
    if len(value) > LONG_TEXT_CHARACTERS or len(parts) > LONG_TEXT_WORDS:
        return (Kind.LONG,)
    kinds = [Kind.SIZE] if words in value_words.SIZES else []
    if words in value_words.COUNTRIES:
        kinds.append(Kind.COUNTRY)
    if not value_words.ROLES.isdisjoint(parts) or any(part.endswith(value_words.ROLE_ENDINGS) for part in parts):
        kinds.append(Kind.ROLE)
    if not value_words.COMPANIES.isdisjoint(parts[1:]):
        kinds.append(Kind.COMPANY)
    if _NAME.fullmatch(value) and not value[0].islower():
        kinds.append(Kind.NAME)
    if len(parts) > 1:
        kinds.append(Kind.TWO_WORDS)
    if parts and parts[0] in GIVEN_NAMES:
        kinds.append(Kind.GIVEN)
    return tuple(kinds)


def _counts_up(values: Sequence[str]) -> bool:
    if len(values) < MIN_COUNTED or not all(value.isdecimal() and len(value) < MAX_COUNTER_DIGITS for value in values):
        return False
    numbers = [int(value) for value in values]
    return all(later == earlier + 1 for earlier, later in pairwise(numbers))

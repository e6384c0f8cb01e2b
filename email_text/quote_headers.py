"""Finds where a quoted message begins by the shape of the lines before it, in any language.

Mail programs write `From: … / Sent: … / To: … / Subject: …`, `On <date>, <name> <address> wrote:` or `----- Original
Message -----` in the language of their user. Addresses, dates and punctuation are the same in all languages.
"""

# ruff: noqa: RUF001 - Words and signs of many alphabets.

import re
from collections.abc import Sequence

MIN_HEADERS = 3
MAX_CONTINUATIONS = 2
"""How many lines between two headers may be without a name, because a long value was folded."""
MAX_ATTRIBUTION_LINES = 3
MAX_ATTRIBUTION_CHARACTERS = 300

_HEADER = re.compile(
    r"^[\s*|]{0,8}[^\W\d_][^\W\d_ .'’-]{0,24}(?:[ .'’-][^\W\d_]{1,15}){0,3}[\s*.]{0,4}[:：][\s*]*(\S.*)?$"
)
_ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}\.\w")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)|(?<!\d)\d{1,2}[./-]\d{1,2}[./-]\d\d(?!\d)")
_CLOCK = re.compile(r"(?<!\d)\d{1,2}[:.h时時시]\d{2}(?!\d)")
_DAY = re.compile(r"(?<!\d)\d{1,2}(?!\d)")
_MONTH_OR_SEPARATOR = re.compile(r"[^\W\d_]{3}|\d[./-]\d{1,2}[./-]\d|[年月日년월일]")
_DIVIDER = re.compile(r"^[ \t>]{0,8}(?P<dash>[-_=*])(?P=dash){4,}[ \t]*(?:\S[^\n]{0,58}?[ \t]*(?P=dash){4,})?[ \t]*$")
_NAMED_DIVIDER = re.compile(r"^[ \t>]{0,8}-{4,}[ \t]*[^\W\d_][^-\n]{3,40}?[ \t]*-{4,}[ \t]*$")
_END = re.compile(r"[:：]\W{0,3}$")


def cut_quoted_rest(lines: Sequence[str], sender_names: Sequence[str] = ()) -> list[str]:
    """Return the lines before the first header block or divider, and without attributions.

    An attribution of lines that are marked with `>` is left out alone, because answers may follow them; another one
    begins the quoted rest.
    """
    names = [name.casefold() for name in sender_names if name.strip()]
    kept: list[str] = []
    index = 0
    while index < len(lines):
        if _NAMED_DIVIDER.match(lines[index]) or _begins_header_block(lines, index):
            return _drop_dividers(kept)
        if length := _measure_attribution(lines, index, names):
            index += length
            following = next((line for line in lines[index:] if line.strip()), "")
            if not following.lstrip().startswith(">"):
                return _drop_dividers(kept)
            continue
        kept.append(lines[index])
        index += 1
    return kept


def _begins_header_block(lines: Sequence[str], index: int) -> bool:
    """Return whether at least three headers follow each other, of which one has a date.

    Lists in messages have dates too: the date has a time, or the first header or two of them have an address.
    """
    values: list[str] = []
    continuations = 0
    for line in lines[index : index + 12]:
        if header := _HEADER.match(line):
            values.append(header[1] or "")
            continuations = 0
        elif not values or not line.strip() or continuations == MAX_CONTINUATIONS:
            break
        else:
            continuations += 1
    if len(values) < MIN_HEADERS:
        return False
    has_date = any(_is_date(value) for value in values)
    addresses = sum(_ADDRESS.search(value) is not None for value in values)
    has_time = any(_is_date(value) and _CLOCK.search(value) for value in values)
    return has_time or (has_date and (addresses > 1 or _ADDRESS.search(values[0]) is not None))


def _is_date(value: str) -> bool:
    return (
        _YEAR.search(value) is not None
        and _DAY.search(value) is not None
        and _MONTH_OR_SEPARATOR.search(value) is not None
    )


def _measure_attribution(lines: Sequence[str], index: int, names: Sequence[str]) -> int:
    """Return how many lines from this one on are an attribution; 0 if none is."""
    if not lines[index].strip() or not (_YEAR.search(lines[index]) or _CLOCK.search(lines[index])):
        return 0
    for length in range(1, MAX_ATTRIBUTION_LINES + 1):
        window = lines[index : index + length]
        if len(window) < length or not window[-1].strip():
            return 0
        text = " ".join(line.strip(" \t>") for line in window)
        if len(text) > MAX_ATTRIBUTION_CHARACTERS:
            return 0
        if _END.search(text):
            following = next((line for line in lines[index + length :] if line.strip()), "")
            is_marked = following.lstrip().startswith(">")
            return length if _is_attribution(text, names, is_marked=is_marked) else 0
    return 0


def _is_attribution(text: str, names: Sequence[str], *, is_marked: bool) -> bool:
    """Return whether a text that ends with a colon has a date, and an author or marked lines after it."""
    has_year, has_clock = _YEAR.search(text) is not None, _CLOCK.search(text) is not None
    has_author = _ADDRESS.search(text) is not None or any(name in text.casefold() for name in names)
    return (has_author and (has_year or has_clock)) or (has_year and has_clock and is_marked)


def _drop_dividers(lines: list[str]) -> list[str]:
    """Return lines without dividers and empty lines at the end."""
    end = len(lines)
    while end and (not lines[end - 1].strip() or _DIVIDER.match(lines[end - 1])):
        end -= 1
    return lines[:end]

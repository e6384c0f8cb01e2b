"""Reads JSON that others wrote, within limits of our own, so that every Python reads and refuses the same.

Without them the interpreter decides: how deep its recursion goes and how many digits it converts differ by version and
by setting. The limits are checked in one pass over the text before it is parsed; time is linear in its length.
"""

import json
import re
from collections.abc import Callable
from itertools import accumulate
from typing import Any

MAX_DEPTH = 64
"""How many levels of objects and arrays a text may have. Everything we exchange has fewer."""
MAX_NUMBER_LENGTH = 600
"""How many characters a number may have. Python's own limit, which cannot be set below 640 digits, is never reached."""

_QUOTED = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_ALL_BUT_BRACKETS = re.compile(rf'(?:[^\[\]{{}}"]++|{_QUOTED})++', re.DOTALL)
_LEVELS = {"[": 1, "{": 1, "]": -1, "}": -1}
# No number begins within another: each is looked at once.
_NUMBER = r"(?<![-+.0-9eE])[-0-9][-+.0-9eE]"
_LONG_NUMBER = re.compile(_NUMBER + f"{{{MAX_NUMBER_LENGTH}}}")
_QUOTED_OR_LONG_NUMBER = re.compile(rf"{_QUOTED}|(?P<number>{_LONG_NUMBER.pattern})", re.DOTALL)


class JsonLimitExceeded(ValueError):
    """A JSON text is beyond a limit; the message is a predicate such as "nests deeper than 64 levels"."""


def parse_json(
    text: str | bytes,
    *,
    max_depth: int = MAX_DEPTH,
    object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None,
    parse_constant: Callable[[str], Any] | None = None,
) -> Any:
    """Return the value of a JSON text; bytes are UTF-8, or UTF-16 or UTF-32 as their first ones say.

    Raises JsonLimitExceeded, json.JSONDecodeError or UnicodeDecodeError: each is a ValueError.
    """
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text))
    require_json_limits(text, max_depth=max_depth)
    return json.loads(text, object_pairs_hook=object_pairs_hook, parse_constant=parse_constant)


def require_json_limits(text: str, *, max_depth: int = MAX_DEPTH) -> None:
    """Raise JsonLimitExceeded for a text beyond a limit; whether it is JSON is not looked at."""
    if _is_deeper(text, max_depth):
        raise JsonLimitExceeded(f"nests deeper than {max_depth} levels")
    # Quoted text may hold what looks like a long number; the slower look is for texts that hold such.
    if _LONG_NUMBER.search(text) and any(found["number"] for found in _QUOTED_OR_LONG_NUMBER.finditer(text)):
        raise JsonLimitExceeded(f"holds a number of more than {MAX_NUMBER_LENGTH} characters")


def _is_deeper(text: str, max_depth: int) -> bool:
    if text.count("[") + text.count("{") <= max_depth:
        return False
    brackets = _ALL_BUT_BRACKETS.sub("", text)
    return max(accumulate(map(_LEVELS.__getitem__, brackets)), default=0) > max_depth

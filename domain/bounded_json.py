"""Parses untrusted JSON within fixed limits, so that every Python version accepts and refuses the same texts.

Without these limits the interpreter decides: its recursion depth and its integer digit limit differ by version and by
setting. One pass over the text checks the limits before parsing; it takes linear time.
"""

import json
import re
from collections.abc import Callable
from itertools import accumulate
from typing import Any

MAX_DEPTH = 64
"""How many levels of objects and arrays a text may have. No document that we exchange comes near it."""
MAX_NUMBER_LENGTH = 600
"""How many characters a number may have. It is below Python's own limit, which cannot be set under 640 digits."""

_QUOTED = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_ALL_BUT_BRACKETS = re.compile(rf'(?:[^\[\]{{}}"]++|{_QUOTED})++', re.DOTALL)
_LEVELS = {"[": 1, "{": 1, "]": -1, "}": -1}
# The lookbehind keeps a match from starting inside a number, so that each number is scanned once.
_NUMBER = r"(?<![-+.0-9eE])[-0-9][-+.0-9eE]"
_LONG_NUMBER = re.compile(_NUMBER + f"{{{MAX_NUMBER_LENGTH}}}")
_QUOTED_OR_LONG_NUMBER = re.compile(rf"{_QUOTED}|(?P<number>{_LONG_NUMBER.pattern})", re.DOTALL)


class JsonLimitExceeded(ValueError):
    """A JSON text exceeds a limit; the message is a predicate such as "nests deeper than 64 levels"."""


def parse_json(
    text: str | bytes,
    *,
    max_depth: int = MAX_DEPTH,
    object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None,
    parse_constant: Callable[[str], Any] | None = None,
) -> Any:
    """Return the value of a JSON text; bytes may be UTF-8, UTF-16 or UTF-32, detected from the first bytes.

    Raises JsonLimitExceeded, json.JSONDecodeError or UnicodeDecodeError: each is a ValueError.
    """
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text))
    require_json_limits(text, max_depth=max_depth)
    return json.loads(text, object_pairs_hook=object_pairs_hook, parse_constant=parse_constant)


def require_json_limits(text: str, *, max_depth: int = MAX_DEPTH) -> None:
    """Raise JsonLimitExceeded for a text that exceeds a limit; the syntax is not checked."""
    if _is_deeper(text, max_depth):
        raise JsonLimitExceeded(f"nests deeper than {max_depth} levels")
    # A quoted string may contain a long number. Only then is the slower pattern needed, which skips quoted strings.
    if _LONG_NUMBER.search(text) and any(match["number"] for match in _QUOTED_OR_LONG_NUMBER.finditer(text)):
        raise JsonLimitExceeded(f"contains a number longer than {MAX_NUMBER_LENGTH} characters")


def _is_deeper(text: str, max_depth: int) -> bool:
    if text.count("[") + text.count("{") <= max_depth:
        return False
    brackets = _ALL_BUT_BRACKETS.sub("", text)
    return max(accumulate(map(_LEVELS.__getitem__, brackets)), default=0) > max_depth

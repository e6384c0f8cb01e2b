"""Cleans external text for use in a line, a header or the variable name of a template."""

import re
import unicodedata
from functools import lru_cache

# Reserved words of Liquid, which are not allowed after a dot.
_RESERVED = frozenset(
    {"empty", "blank", "nil", "null", "true", "false", "and", "or", "not", "contains", "in", "if", "else", "continue"}
    | {"with", "for", "as", "reversed", "limit", "offset", "cols"}
)


@lru_cache(maxsize=4_096)
def custom_key(name: str) -> str:
    """Return the variable name of a custom field: `Deal Stage` is `deal_stage`, `Limit` is `field_limit`."""
    ascii_name = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    key = re.sub(r"[^a-z0-9]+", "_", ascii_name.lower()).strip("_")
    if not key:
        return "field"
    return f"field_{key}" if key in _RESERVED or key.isdecimal() else key


def remove_control_characters(text: str) -> str:
    """Return the text without control and bidirectional characters, and with `\n` as the only line end."""
    if text.isprintable():
        return text
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    return "".join(c for c in lines if c == "\n" or unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn"})


def one_line(text: str) -> str:
    """Return the text on one line without control characters, as for names and subjects."""
    return " ".join(remove_control_characters(text).split())

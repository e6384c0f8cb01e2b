"""Makes text from outside fit to stand in a line, a header or a template's variable name."""

import re
import unicodedata
from functools import lru_cache

# Words of Liquid itself, which cannot stand after a dot.
_RESERVED = frozenset(
    {"empty", "blank", "nil", "null", "true", "false", "and", "or", "not", "contains", "in", "if", "else", "continue"}
    | {"with", "for", "as", "reversed", "limit", "offset", "cols"}
)


@lru_cache(maxsize=4_096)
def custom_key(name: str) -> str:
    """Return how a template calls a custom field: `Deal Stage` is `deal_stage`, `Limit` is `field_limit`."""
    folded = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()
    key = re.sub(r"[^a-z0-9]+", "_", folded.lower()).strip("_")
    if not key:
        return "field"
    return f"field_{key}" if key in _RESERVED or key.isdecimal() else key


def printable(text: str) -> str:
    """Return the text without control and direction-changing characters; line ends become one kind."""
    if text.isprintable():
        return text
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    return "".join(c for c in lines if c == "\n" or unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn"})


def one_line(text: str) -> str:
    """Return the text on one line, without control characters: what a name or a subject may hold."""
    return " ".join(printable(text).split())

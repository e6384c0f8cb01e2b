"""Recognises text that gives orders to a language model where a fact about a lead is expected."""

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from html import unescape
from urllib.parse import unquote

from ai.workflows.email_generation.wording import CURLY_APOSTROPHE, words

MOST_CHARACTERS = 4_000
"""Of one text; what is longer is no fact, and is not read further."""

_CONFUSABLE = str.maketrans("аеорсухіјѕԁһкмтвнΑΒΕΖΗΙΚΜΝΟΡΤΥΧαορν", "aeopcyxijsdhkmtbhabezhikmnoptyxaopv")
_TAGS = str.maketrans({chr(0xE0000 + code): chr(code) for code in range(0x20, 0x7F)})
"""Invisible signs, each of which stands for one of ASCII."""
_LEET = str.maketrans("013457@$", "oieastas"), str.maketrans("013457@$", "oleastas")
_SPACED = re.compile(r"(?<!\w)(?:\w[ ._*-]){4,}\w(?!\w)")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX = re.compile(r"(?:(?:\\x|0x)?[0-9a-fA-F]{2}[ :,]?){8,}")
_ESCAPE = re.compile(r"\\u\{?([0-9a-fA-F]{4,5})\}?")
_MIXED = re.compile(r"[a-z][013457@$]|[013457@$][a-z]", re.IGNORECASE)
_SHORTEST_DISGUISED = 16
_SHOUTED = re.compile(
    r"\b(?i:say|write|print|output|reply|respond|answer|include|add|append|schreibe?|sage?|skryf|ecris|dis)\s+(?:\w+\s+)?"
    r"[A-Z]{4,}\b"
)


@cache
def _order() -> re.Pattern[str]:
    told = words("orders")
    found = list(told["phrases"])
    for order in told["orders"]:
        verbs, objects = "|".join(order["verbs"]), "|".join(order["objects"])
        found.append(rf"\b(?:{verbs})\b.{{0,{order['within']}}}?\b(?:{objects})")
    return re.compile("|".join(f"(?:{one})" for one in found), re.DOTALL)


@lru_cache(maxsize=4_096)
def speaks_to_a_model(text: str) -> bool:
    """Tell whether a text orders its reader to write, to forget or to tell something, in the clear or encoded.

    It errs on the side of a fact lost: what it finds is left out of an email, what it misses still meets the checks.
    """
    return any(_SHOUTED.search(one) or _order().search(one.casefold()) for one in dict.fromkeys(_readings(text)))


def _readings(text: str) -> Iterator[str]:
    """Give the text as it stands and as it reads once disguises are taken off."""
    if any(ord(sign) in _TAGS for sign in text[:MOST_CHARACTERS]):
        yield text[:MOST_CHARACTERS].translate(_TAGS)
    seen = "".join(c for c in text[:MOST_CHARACTERS] if unicodedata.category(c) not in {"Cf", "Co", "Cn"})
    decomposed = unicodedata.normalize("NFKD", seen)
    plain = "".join(c for c in decomposed if not unicodedata.combining(c)).replace(CURLY_APOSTROPHE, "'")
    yield plain
    if not plain.isascii():
        yield plain.casefold().translate(_CONFUSABLE)
    if _SPACED.search(plain):
        yield _SPACED.sub(lambda found: re.sub(r"[ ._*-]", "", found[0]), plain)
    if _MIXED.search(plain):
        yield from (plain.translate(table) for table in _LEET)
    if len(plain) >= _SHORTEST_DISGUISED:
        yield re.sub(r"[._*-]+", " ", plain)
        yield plain[::-1]
        yield codecs.decode(plain, "rot13")
    yield from (unescape(plain), unquote(plain))
    if _ESCAPE.search(plain):
        yield _ESCAPE.sub(lambda found: chr(int(found[1], 16)), plain)
    yield from _decoded(plain)


def _decoded(text: str) -> Iterator[str]:
    for found in _BASE64.findall(text):
        with_padding = found.rstrip("=") + "=" * (-len(found.rstrip("=")) % 4)
        try:
            yield base64.b64decode(with_padding, altchars=b"-_" if set(found) & {"-", "_"} else None).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            continue
    for found in _HEX.findall(text):
        digits = re.sub(r"\\x|0x|[^0-9a-fA-F]", "", found)
        yield bytes.fromhex(digits[: len(digits) // 2 * 2]).decode(errors="ignore")

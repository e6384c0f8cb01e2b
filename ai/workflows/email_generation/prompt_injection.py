"""Detects prompt injections in text that should contain facts about a lead."""

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from html import unescape
from urllib.parse import unquote

from ai.workflows.email_generation.wording import CURLY_APOSTROPHE, load_words

MAX_CHARACTERS = 4_000
"""The number of characters of a text that are checked; a longer text is no fact."""

_CONFUSABLE = str.maketrans("аеорсухіјѕԁһкмтвнΑΒΕΖΗΙΚΜΝΟΡΤΥΧαορν", "aeopcyxijsdhkmtbhabezhikmnoptyxaopv")
_TAGS = str.maketrans({chr(0xE0000 + code): chr(code) for code in range(0x20, 0x7F)})
"""Invisible tag characters that correspond to ASCII characters."""
_LEET = str.maketrans("013457@$", "oieastas"), str.maketrans("013457@$", "oleastas")
_SPACED = re.compile(r"(?<!\w)(?:\w[ ._*-]){4,}\w(?!\w)")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX = re.compile(r"(?:(?:\\x|0x)?[0-9a-fA-F]{2}[ :,]?){8,}")
_ESCAPE = re.compile(r"\\u\{?([0-9a-fA-F]{4,5})\}?")
_MIXED = re.compile(r"[a-z][013457@$]|[013457@$][a-z]", re.IGNORECASE)
_MIN_DISGUISED_CHARACTERS = 16
_CAPITALIZED_ORDER = re.compile(
    r"\b(?i:say|write|print|output|reply|respond|answer|include|add|append|schreibe?|sage?|skryf|ecris|dis)\s+(?:\w+\s+)?"
    r"[A-Z]{4,}\b"
)


@cache
def _load_pattern() -> re.Pattern[str]:
    words = load_words("prompt_injection")
    patterns = list(words["phrases"])
    for order in words["orders"]:
        verbs, objects = "|".join(order["verbs"]), "|".join(order["objects"])
        patterns.append(rf"\b(?:{verbs})\b.{{0,{order['within']}}}?\b(?:{objects})")
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.DOTALL)


@lru_cache(maxsize=4_096)
def is_prompt_injection(text: str) -> bool:
    """Return whether a text tells its reader to write, forget or reveal something, in plain or encoded form.

    It prefers false positives: a detected field is left out of the email, and a missed one still meets the checks.
    """
    return any(
        _CAPITALIZED_ORDER.search(variant) or _load_pattern().search(variant.casefold())
        for variant in dict.fromkeys(_decode_variants(text))
    )


def _decode_variants(text: str) -> Iterator[str]:
    """Yield the text in plain form and in all decoded forms."""
    if any(ord(sign) in _TAGS for sign in text[:MAX_CHARACTERS]):
        yield text[:MAX_CHARACTERS].translate(_TAGS)
    seen = "".join(c for c in text[:MAX_CHARACTERS] if unicodedata.category(c) not in {"Cf", "Co", "Cn"})
    decomposed = unicodedata.normalize("NFKD", seen)
    plain = "".join(c for c in decomposed if not unicodedata.combining(c)).replace(CURLY_APOSTROPHE, "'")
    yield plain
    if not plain.isascii():
        yield plain.casefold().translate(_CONFUSABLE)
    if _SPACED.search(plain):
        yield _SPACED.sub(lambda match: re.sub(r"[ ._*-]", "", match[0]), plain)
    if _MIXED.search(plain):
        yield from (plain.translate(table) for table in _LEET)
    if len(plain) >= _MIN_DISGUISED_CHARACTERS:
        yield re.sub(r"[._*-]+", " ", plain)
        yield plain[::-1]
        yield codecs.decode(plain, "rot13")
    yield from (unescape(plain), unquote(plain))
    if _ESCAPE.search(plain):
        yield _ESCAPE.sub(lambda match: chr(int(match[1], 16)), plain)
    yield from _decode(plain)


def _decode(text: str) -> Iterator[str]:
    for match in _BASE64.findall(text):
        with_padding = match.rstrip("=") + "=" * (-len(match.rstrip("=")) % 4)
        try:
            yield base64.b64decode(with_padding, altchars=b"-_" if set(match) & {"-", "_"} else None).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            continue
    for match in _HEX.findall(text):
        digits = re.sub(r"\\x|0x|[^0-9a-fA-F]", "", match)
        yield bytes.fromhex(digits[: len(digits) // 2 * 2]).decode(errors="ignore")

"""Loads the word patterns of claims, voices, spam and languages (en, af, de and fr) from `words/*.toml`.

The patterns match text that `fold` returns, from the start of a word.
"""

import re
import tomllib
import unicodedata
from collections import Counter
from functools import cache
from importlib.resources import files
from typing import Any

CURLY_APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"


def fold(text: str) -> str:
    """Return the text in lower case without accents, with ß as ss, and with uniform apostrophes and spaces."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(sign for sign in decomposed if not unicodedata.combining(sign))
    return " ".join(letters.replace(CURLY_APOSTROPHE, "'").split())


@cache
def load_words(name: str) -> dict[str, Any]:
    """Return the content of a file in `words/`."""
    file = files("ai.workflows.email_generation") / "words" / f"{name}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


@cache
def load_claim_pattern(subject: str) -> re.Pattern[str]:
    """Return the pattern of a kind of claim that needs support, such as `observed` or `spoke`."""
    return _join_patterns(load_words("claims")[subject])


@cache
def load_event_patterns() -> dict[str, re.Pattern[str]]:
    """Return the patterns of company events by name."""
    return {name: _join_patterns(patterns) for name, patterns in load_words("claims")["events"].items()}


@cache
def load_voice_pattern(name: str, language: str) -> re.Pattern[str]:
    """Return the pattern of a voice in a language: `you`, `us` or `hedged`."""
    return _join_patterns(load_words("voices")[name][language])


@cache
def load_addressing_pattern() -> re.Pattern[str]:
    """Return the pattern of a sentence that begins by addressing the reader."""
    you = "|".join(pattern for patterns in load_words("voices")["you"].values() for pattern in patterns)
    before = "|".join(load_words("voices")["before"])
    return re.compile(rf"^\W*(?:(?:{before})[ ,]+)*(?:{you})")


@cache
def load_spam_pattern() -> re.Pattern[str]:
    """Return the pattern of spam phrases."""
    return _join_patterns(load_words("spam")["phrases"])


@cache
def load_generic_words() -> frozenset[str]:
    """Return the generic words, which support no claim."""
    return frozenset(load_words("voices")["generic"])


def detect_language(text: str) -> str:
    """Return the most likely language of a text: en, af, de or fr."""
    counts = Counter(re.findall(r"'?[^\W\d_]+", fold(text)))
    common: dict[str, list[str]] = load_words("voices")["common"]
    return max(common, key=lambda language: sum(counts[word] for word in common[language]))


def _join_patterns(patterns: list[str]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(f'(?:{pattern})' for pattern in patterns)})")

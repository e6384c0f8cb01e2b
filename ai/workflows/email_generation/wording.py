"""Knows by their words what a sentence speaks of, of whom, how surely, and in which of en, af, de and fr.

The words stand in `words/*.toml`, as patterns over `folded` text that begin where a word does.
"""

import re
import tomllib
import unicodedata
from collections import Counter
from functools import cache
from importlib.resources import files
from typing import Any

CURLY_APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"
FAKED_ANSWER = re.compile(
    r"^\s*(?:\[[^\]]*\]\s*)?(?:re|fwd?|aw|wg|tr|antw|vs|rv|sv|antwoord|antwort|réponse)\s?(?:\[\d+\])?\s?:",
    re.IGNORECASE,
)


def folded(text: str) -> str:
    """Return the text in small letters without accents, ß as ss, apostrophes and spaces of one kind."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(sign for sign in decomposed if not unicodedata.combining(sign))
    return " ".join(letters.replace(CURLY_APOSTROPHE, "'").split())


@cache
def words(name: str) -> dict[str, Any]:
    """Return what one of the files in `words/` says."""
    file = files("ai.workflows.email_generation") / "words" / f"{name}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


@cache
def speaks_of(subject: str) -> re.Pattern[str]:
    """Return the pattern of what may only be said where an input supports it, such as `observed` or `spoke`."""
    return _any(words("claims")[subject])


@cache
def events() -> dict[str, re.Pattern[str]]:
    """Return the patterns of what happens to companies, by what it is called."""
    return {name: _any(patterns) for name, patterns in words("claims")["events"].items()}


@cache
def voice(name: str, language: str) -> re.Pattern[str]:
    """Return the pattern by which a language says `you`, `us`, or that something is `hedged`."""
    return _any(words("voices")[name][language])


@cache
def speaks_first_of_you() -> re.Pattern[str]:
    """Return the pattern of a sentence that begins with whom it is written to."""
    you = "|".join(pattern for patterns in words("voices")["you"].values() for pattern in patterns)
    before = "|".join(words("voices")["before"])
    return re.compile(rf"^\W*(?:(?:{before})[ ,]+)*(?:{you})")


@cache
def spam() -> re.Pattern[str]:
    """Return the pattern of what filters and people take for spam."""
    return _any(words("spam")["phrases"])


@cache
def generic() -> frozenset[str]:
    """Return the words that say nothing of anybody in particular."""
    return frozenset(words("voices")["generic"])


def language_of(text: str) -> str:
    """Return which of en, af, de and fr a text is most likely in."""
    counted = Counter(re.findall(r"'?[^\W\d_]+", folded(text)))
    common: dict[str, list[str]] = words("voices")["common"]
    return max(common, key=lambda language: sum(counted[word] for word in common[language]))


def _any(patterns: list[str]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(f'(?:{pattern})' for pattern in patterns)})")

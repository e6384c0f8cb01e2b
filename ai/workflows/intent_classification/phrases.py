"""Finds in a text the phrases of `words/*.toml`, by what they are cues for and how much they say."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache, lru_cache
from importlib.resources import files
from itertools import chain, pairwise

from ai.workflows.intent_classification.wording import compiled, folded

STRENGTHS = ("sure", "likely", "hint")
ENOUGH_WORDS = 3  # common ones, to tell languages
SHORT = 30  # words of a text in which typos are looked for
ALIKE = 0.85  # from 0 to 1


def found(cue: str, text: str) -> dict[str, int]:
    """Return how many different phrases of a cue a text, as `words_of` gives it, holds, by how much they say."""
    counts = {said: len({match[0] for match in _matches(cue, said, text)}) for said in STRENGTHS}
    return {said: count for said, count in counts.items() if count}


def has(cue: str, text: str) -> bool:
    """Tell whether a text holds a phrase of a cue that settles it."""
    return any(_matches(cue, "sure", text))


def has_misspelt(cue: str, text: str) -> bool:
    """Tell whether a short text holds nearly one of the words that say a cue by themselves; typos are made in haste."""
    words = re.findall(r"[a-z]+", text)[: SHORT + 1]
    if len(words) > SHORT:
        return False
    written = [*words, *(f"{first}{second}" for first, second in pairwise(words))]
    meant = [word for name in languages_of(text) for word in _languages()[name].cues.get(cue, {}).get("spelt", ())]
    return any(
        one[:2] == right[:2] and SequenceMatcher(None, one, right).ratio() >= ALIKE
        for one in written
        for right in meant
    )


def without(cue: str, text: str) -> str:
    """Return a text with the phrases of a cue left out."""
    for pattern in _patterns(cue, "sure", languages_of(text)):
        text = pattern.sub(" . ", text)
    return text


@lru_cache(maxsize=256)
def languages_of(text: str) -> tuple[str, ...]:
    """Return the languages whose common words a text has, for people mix them; all where it has too few to tell."""
    words = re.findall(r"[a-z]+", text)
    counts = {name: sum(word in language.common for word in words) for name, language in _languages().items()}
    most = max(counts.values())
    return tuple(name for name, count in counts.items() if most < ENOUGH_WORDS or count * 2 >= most)


@dataclass(frozen=True, slots=True)
class _Language:
    common: frozenset[str]
    words: Mapping[str, str]
    cues: Mapping[str, Mapping[str, list[str]]]


@cache
def _languages() -> Mapping[str, _Language]:
    folder = files("ai.workflows.intent_classification") / "words"
    languages = {}
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        wording = tomllib.loads(file.read_text(encoding="utf-8"))
        common, words = wording.pop("common"), wording.pop("words")
        languages[file.name.removesuffix(".toml")] = _Language(frozenset(folded(common).split()), words, wording)
    return languages


def _matches(cue: str, said: str, text: str) -> Iterator[re.Match[str]]:
    return chain.from_iterable(pattern.finditer(text) for pattern in _patterns(cue, said, languages_of(text)))


@cache
def _patterns(cue: str, said: str, languages: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(pattern for language in languages if (pattern := _pattern(cue, said, language)))


@cache
def _pattern(cue: str, said: str, language: str) -> re.Pattern[str] | None:
    phrases = _languages()[language].cues.get(cue, {}).get(said, ())
    return compiled(phrases, _languages()[language].words) if phrases else None

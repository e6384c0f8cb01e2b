"""Finds the phrases of `words/*.toml` in a text, by cue and strength."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache, lru_cache
from importlib.resources import files
from itertools import chain, pairwise

from ai.workflows.intent_classification.wording import compile_phrases, fold

STRENGTHS = ("sure", "likely", "hint")
MIN_COMMON_WORDS = 3  # the number of common words that identify a language
MAX_TYPO_WORDS = 30  # only texts with at most this many words are checked for typos
MIN_SIMILARITY = 0.85  # from 0 to 1


def count_phrases(cue: str, text: str) -> dict[str, int]:
    """Return the number of different phrases of a cue in a normalized text, by strength."""
    counts = {strength: len({match[0] for match in _find_matches(cue, strength, text)}) for strength in STRENGTHS}
    return {strength: count for strength, count in counts.items() if count}


def has_phrase(cue: str, text: str) -> bool:
    """Return whether a text contains a sure phrase of a cue."""
    return any(_find_matches(cue, "sure", text))


def has_misspelled_word(cue: str, text: str) -> bool:
    """Return whether a short text contains a misspelled form of a word that expresses a cue by itself."""
    words = re.findall(r"[a-z]+", text)[: MAX_TYPO_WORDS + 1]
    if len(words) > MAX_TYPO_WORDS:
        return False
    candidates = [*words, *(f"{first}{second}" for first, second in pairwise(words))]
    correct_words = [
        correct
        for name in detect_languages(text)
        for correct in _load_languages()[name].cues.get(cue, {}).get("spelt", ())
    ]
    return any(
        word[:2] == correct[:2] and SequenceMatcher(None, word, correct).ratio() >= MIN_SIMILARITY
        for word in candidates
        for correct in correct_words
    )


def remove_phrases(cue: str, text: str) -> str:
    """Return a text without the phrases of a cue."""
    for pattern in _load_patterns(cue, "sure", detect_languages(text)):
        text = pattern.sub(" . ", text)
    return text


@lru_cache(maxsize=256)
def detect_languages(text: str) -> tuple[str, ...]:
    """Return the languages whose common words a text contains; all languages if it has too few common words."""
    words = re.findall(r"[a-z]+", text)
    counts = {name: sum(word in language.common for word in words) for name, language in _load_languages().items()}
    maximum = max(counts.values())
    return tuple(name for name, count in counts.items() if maximum < MIN_COMMON_WORDS or count * 2 >= maximum)


@dataclass(frozen=True, slots=True)
class _Language:
    common: frozenset[str]
    words: Mapping[str, str]
    cues: Mapping[str, Mapping[str, list[str]]]


@cache
def _load_languages() -> Mapping[str, _Language]:
    folder = files("ai.workflows.intent_classification") / "words"
    languages = {}
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        wording = tomllib.loads(file.read_text(encoding="utf-8"))
        common, words = wording.pop("common"), wording.pop("words")
        languages[file.name.removesuffix(".toml")] = _Language(frozenset(fold(common).split()), words, wording)
    return languages


def _find_matches(cue: str, strength: str, text: str) -> Iterator[re.Match[str]]:
    # Phrases in another script cannot match by chance, so they count whatever the Latin words of the text are.
    languages = dict.fromkeys((*detect_languages(text), *_list_other_scripts()))
    return chain.from_iterable(pattern.finditer(text) for pattern in _load_patterns(cue, strength, tuple(languages)))


@cache
def _list_other_scripts() -> tuple[str, ...]:
    """Return the languages without common words in Latin letters."""
    return tuple(name for name, language in _load_languages().items() if not language.common)


@cache
def _load_patterns(cue: str, strength: str, languages: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(pattern for language in languages if (pattern := _load_pattern(cue, strength, language)))


@cache
def _load_pattern(cue: str, strength: str, language: str) -> re.Pattern[str] | None:
    phrases = _load_languages()[language].cues.get(cue, {}).get(strength, ())
    return compile_phrases(phrases, _load_languages()[language].words) if phrases else None

"""Finds the phrases of `words/*.toml` and the combinations of `refusals.toml` in a text, by cue and strength."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
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
_PART = re.compile(r"<(\w+)>")
_COMBINED = {"refusal": "refusals", "other_request": "others", "doubt": "doubts"}
"""The cues of combinations, with their names in the file."""


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


def remove_phrases(cues: Iterable[str], text: str) -> str:
    """Return a text without the phrases of the cues."""
    languages = detect_languages(text)
    for cue in cues:
        for pattern in _load_patterns(cue, "sure", languages):
            text = pattern.sub(" . ", text)
    return text


@lru_cache(maxsize=256)
def detect_languages(text: str) -> tuple[str, ...]:
    """Return the languages whose common words a text contains; all languages if it has too few common words."""
    counts = _count_common_words(text)
    maximum = max(counts.values())
    return tuple(name for name, count in counts.items() if maximum < MIN_COMMON_WORDS or count * 2 >= maximum)


def _count_common_words(text: str) -> dict[str, int]:
    words = re.findall(r"[a-z]+", text)
    return {name: sum(word in language.common for word in words) for name, language in _load_languages().items()}


def may_ask_for_writer(question: str, languages: Iterable[str]) -> bool:
    """Return whether a question that resembles an unsubscribe asks for it for its writer.

    In languages without words for that, each question does.
    """
    for language in languages:
        patterns = [_load_pattern(cue, "sure", language) for cue in ("unsubscribe", "refusal")]
        self = _load_pattern("self", "sure", language)
        is_similar = any(pattern and pattern.search(question) for pattern in patterns)
        if is_similar and (self is None or self.search(question)):
            return True
    return False


def is_language_known(cue: str, text: str) -> bool:
    """Return whether a text has common words of a language that has phrases of a cue, and not more of another one."""
    counts = _count_common_words(text)
    maximum = max(counts.values())
    return maximum > 0 and any(
        count * 2 > maximum and cue in _load_languages()[name].cues for name, count in counts.items()
    )


@dataclass(frozen=True, slots=True)
class _Language:
    common: frozenset[str]
    words: Mapping[str, str]
    cues: Mapping[str, Mapping[str, list[str]]]


@cache
def _load_languages() -> Mapping[str, _Language]:
    folder = files("ai.workflows.intent_classification")
    languages = {}
    for file in sorted((folder / "words").iterdir(), key=lambda file: file.name):
        wording = tomllib.loads(file.read_text(encoding="utf-8"))
        common, words = wording.pop("common"), wording.pop("words")
        languages[file.name.removesuffix(".toml")] = _Language(frozenset(fold(common).split()), words, wording)
    refusals = tomllib.loads((folder / "refusals.toml").read_text(encoding="utf-8"))
    combinations = {cue: refusals.pop(name) for cue, name in _COMBINED.items()}
    for name, parts in refusals.items():
        known = languages.get(name, _Language(frozenset(fold(parts.pop("common", "")).split()), {}, {}))
        cues = {cue: {"sure": _combine(choices, parts)} for cue, choices in combinations.items()}
        cues["self"] = {"sure": parts.get("self", [])}
        languages[name] = _Language(known.common, known.words, {**known.cues, **cues})
    return languages


def _combine(combinations: Iterable[str], parts: Mapping[str, str]) -> list[str]:
    """Return the combinations of which a language has all parts."""
    named = {combination: _PART.findall(combination) for combination in combinations}
    return [
        _PART.sub(lambda part: parts[part[1]], combination)
        for combination, names in named.items()
        if all(name in parts for name in names)
    ]


def list_possible_languages(text: str) -> tuple[str, ...]:
    """Return the languages of a text, and those of other scripts.

    Phrases in another script cannot match by chance, so they count whatever the Latin words of the text are.
    """
    return tuple(dict.fromkeys((*detect_languages(text), *_list_other_scripts())))


def _find_matches(cue: str, strength: str, text: str) -> Iterator[re.Match[str]]:
    patterns = _load_patterns(cue, strength, list_possible_languages(text))
    return chain.from_iterable(pattern.finditer(text) for pattern in patterns)


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

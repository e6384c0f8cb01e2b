"""Loads the words of absences and the names of months and weekdays, in all languages of `absences.toml`."""

# ruff: noqa: RUF001 - Words of many alphabets.

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files

from babel import Locale

_STRIPPED = re.compile(r"^(?:de |d'|יום )|-feira$|\.$")
MIN_MONTH_LETTERS, MIN_SUFFIXED_LETTERS = 3, 5
_MONTH_ENDS = r"(?:['’]?[^\W\d_]{0,4})"
_MORE_MONTHS = {
    1: "janner jan januarie ianuarie",
    2: "feber",
    3: "marz mrz maerz maart mars",
    6: "juni junie",
    7: "juillet julie",
    8: "aout",
    9: "sept",
    10: "okt oct",
    11: "nov",
    12: "dec dez des",
}
_MORE_WEEKDAYS = (
    "周一 礼拜一 月曜 понедельника понедельнику poniedziałku poniedziałek mo",
    "周二 礼拜二 火曜 вторника wtorku wtorek úterka tues tue",
    "周三 礼拜三 水曜 среду среды środy środę středu středy середу wednes wed",
    "周四 礼拜四 木曜 четверга czwartku čtvrtka четверга thur thurs thu",
    "周五 礼拜五 金曜 пятницу пятницы piątku pátku п'ятницю fri",
    "周六 礼拜六 土曜 субботу субботы soboty sobotę суботу sat",
    "周日 周天 礼拜天 日曜 воскресенья niedzieli niedzielę sonnabend неділю sun",
)
_SHORT = frozenset({"mo", "tues", "tue", "wednes", "wed", "thur", "thurs", "thu", "fri", "sat", "sun"})
_SIGNS = {
    **dict.fromkeys("’‘ʼ׳", "'"),
    **dict.fromkeys("‐‑", "-"),
    **dict.fromkeys("–—―〜～", "–"),
    "ı": "i",
}


def fold_words(text: str) -> str:
    """Return a text in lower case, without accents, with digits and apostrophes of ASCII."""
    return "".join(map(_fold_letter, unicodedata.normalize("NFKC", text).casefold()))


@lru_cache(maxsize=4096)
def _fold_letter(letter: str) -> str:
    if letter.isascii() or letter in _SIGNS:
        return _SIGNS.get(letter, letter)
    if letter.isdecimal():
        return str(unicodedata.digit(letter))
    if letter.isspace():
        return " "
    if unicodedata.category(letter) in {"Mn", "Cf"}:
        return ""
    plain = unicodedata.normalize("NFD", letter)
    return "".join(sign for sign in plain if not unicodedata.combining(sign)) if plain[0] < "\u0530" else letter


@cache
def load_languages() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Return the words of each language, folded."""
    file = files("ai.workflows.intent_classification") / "absences.toml"
    tables = tomllib.loads(file.read_text(encoding="utf-8"))
    return {
        language: {name: tuple(fold_words(word) for word in words) for name, words in table.items()}
        for language, table in tables.items()
    }


@cache
def load_months() -> Mapping[str, frozenset[int]]:
    """Return the months that a folded name can mean; it means different ones in a few languages."""
    months: dict[str, set[int]] = {}
    for language in load_languages():
        for context in Locale.parse(language).months.values():
            for width in ("wide", "abbreviated"):
                for number, name in context.get(width, {}).items():
                    _add_name(months, name, number, MIN_MONTH_LETTERS)
    for number, names in _MORE_MONTHS.items():
        for name in names.split():
            _add_name(months, name, number, MIN_MONTH_LETTERS)
    return {name: frozenset(numbers) for name, numbers in months.items()}


@cache
def load_weekdays() -> Mapping[str, frozenset[int]]:
    """Return the weekdays that a folded name can mean, in full or in a common short form."""
    weekdays: dict[str, set[int]] = {}
    for language in load_languages():
        for context in Locale.parse(language).days.values():
            for number, name in context.get("wide", {}).items():
                _add_name(weekdays, name, number, 2)
    for number, names in enumerate(_MORE_WEEKDAYS):
        for name in names.split():
            if name not in _SHORT:
                _add_name(weekdays, name, number, 2)
    return {name: frozenset(numbers) for name, numbers in weekdays.items()}


@cache
def load_short_weekdays() -> Mapping[str, frozenset[int]]:
    """Return the weekdays that an abbreviation can mean; many are words of other languages."""
    weekdays: dict[str, set[int]] = {}
    for language in load_languages():
        for context in Locale.parse(language).days.values():
            for number, name in context.get("abbreviated", {}).items():
                _add_name(weekdays, name, number, 2)
    for number, names in enumerate(_MORE_WEEKDAYS):
        for name in names.split():
            if name in _SHORT:
                _add_name(weekdays, name, number, 2)
    return {name: frozenset(numbers) for name, numbers in weekdays.items() if name not in load_weekdays()}


def _add_name(names: dict[str, set[int]], name: str, number: int, min_letters: int) -> None:
    folded = _STRIPPED.sub("", fold_words(name)).strip()
    min_letters = min_letters if folded.isascii() else 2
    if len(folded) >= min_letters and not any(sign.isdigit() for sign in folded):
        names.setdefault(folded, set()).add(number)


def is_spaced(word: str) -> bool:
    """Return whether a word is of a script that separates words by spaces."""
    return not any("\u3040" <= letter <= "\u9fff" or "\uac00" <= letter <= "\ud7a3" for letter in word)


def join_words(words: tuple[str, ...]) -> str:
    """Return a pattern for any of the words, the longest first; `*` matches the rest of a word."""
    alternatives = sorted({word for word in words if word}, key=len, reverse=True)
    return "|".join(_bound(word) for word in alternatives)


def _bound(word: str) -> str:
    escaped = re.escape(word).replace(r"\*", r"\w*").replace(r"\ ", r"\s+")
    if not is_spaced(word):
        return escaped
    end = "" if word.endswith("*") else r"(?!\w)"
    return rf"(?<!\w){escaped}{end}"


@cache
def load_name_pattern(kind: str) -> str:
    """Return a pattern for the names of months or weekdays, with the endings that languages add to long names."""
    names = load_months() if kind == "month" else load_weekdays()
    long = [name for name in names if len(name) >= MIN_SUFFIXED_LETTERS and is_spaced(name)]
    short = [name for name in names if len(name) < MIN_SUFFIXED_LETTERS and is_spaced(name)]
    others = [name for name in names if not is_spaced(name)]
    return (
        rf"(?:{_any_of(long)}){_MONTH_ENDS}(?!\w)|(?:{_any_of(short)})(?:['’][^\W\d_]{{1,4}})?(?!\w)|{_any_of(others)}"
    )


def _any_of(names: list[str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) or r"(?!)"


def find_numbers(kind: str, text: str) -> frozenset[int]:
    """Return the numbers of the month or weekday that a matched text names: that of its longest known beginning."""
    names = load_months() if kind == "month" else load_weekdays()
    for end in range(len(text), 0, -1):
        if numbers := names.get(text[:end]):
            return numbers
    return frozenset()

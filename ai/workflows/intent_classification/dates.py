"""Finds the day of return in an out-of-office message, in the languages of `absences.toml`."""

# ruff: noqa: RUF001 - Words of many alphabets.

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache

from ai.workflows.intent_classification.absence_words import fold_words, join_words, load_languages
from ai.workflows.intent_classification.date_mentions import Mention, find_mentions
from ai.workflows.intent_classification.date_order import SentAt, find_dotted_order, find_order
from ai.workflows.intent_classification.date_readings import is_trusted

_SENTENCE_END = re.compile(
    r"\n\s*\n|[!?。]|(?<!\d)\.\s+(?=[A-ZÀ-Þ\u0370-\u1fff])|(?<=[^\W\d_]{6})\.\s+(?=\d)|(?<=\d{4})\.\s|(?<=-\d\d)\.\s|(?<=[다요])\.\s"
)
_RANGE = re.compile(r"\s*[-\u2013\u2014~]\s*(?:\S+\s+){0,2}\Z")
_DAY_BEFORE = re.compile(r"(?<![\d:.])\d{1,2}(?:st|nd|rd|th|er|\.)?\s*(?P<link>\S{1,12})\s*(?:\S{1,6}\s+)?\Z")
_DAY_AFTER = re.compile(
    r"\s*(?:to|until|through|bis|au|tot|al|ao|a|til|till|do|-|\u2013|~|至|到|から)\s*(\d{1,2})(?:st|nd|rd|th|日|일)?"
    r"(?![\w]|[./:-]\d)"
)
_CONJUNCTION = (
    r"(?:and|but|und|aber|sowie|et|mais|en|maar|y|e|i|og|och|men|ja|a|oraz|ale|es|si|ve|и|но|та|και|及|并|並|ו)"
)
_NEGATION = re.compile(
    r"(?<!\w)(?:not|no|nicht|kein\w*|niet|nie|pas|non|nao|ikke|inte|ej|ne|nem|nu|не|δεν|לא|لا|غير|en ole|emme ole)"
    rf"\s+(?!{_CONJUNCTION}\s)(?:[^\s,;:]+\s+(?!{_CONJUNCTION}\s)){{0,2}}\Z"
)
_CLAUSE = re.compile(rf"[,;:(]|(?<!\w){_CONJUNCTION}(?!\w)|[并並及]|ו(?=ב|מ|א)")
_WEAK_END = re.compile(r"(?<!\w)(?:a|ao|al|au|to|la)\s+(?:\w+\s+)?\Z")
"""Words that mean "until" only after another date, as in `from 1 to 3 May`; else they mean "on" or "to"."""
_BETWEEN = re.compile(
    r"(?<!\w)(?:between|zwischen|entre|tussen|tra|fra|mellan|mellem|mellom|miedzy|mezi|medzi|intre|между|між|od)\W+\Z"
)
_VERB_LAST_LANGUAGES = {"ja", "ko", "tr"}
MAX_SENTENCES = 60  # a genuine message has fewer
MAX_SENTENCE_CHARACTERS = 400  # more characters of a sentence are ignored
MAX_TEXT_CHARACTERS = 8_000  # more characters of a text say nothing about its language
MIN_SHARE = 0.6  # of the score of the likeliest language that another one needs


@dataclass(frozen=True, slots=True)
class Return:
    """The day of return; None if a message names none, or none that can be trusted."""

    day: date | None


@dataclass(frozen=True, slots=True)
class _Role:
    """What a date in a sentence is: the day of return, the last day of an absence, or another."""

    mention: Mention
    name: str
    is_inclusive: bool = False


def find_return_date(text: str, received: date) -> date | None:
    """Return the day of return in a text that was received on a given day, or None."""
    return find_return(text, SentAt(received)).day


def find_return(text: str, sent: SentAt) -> Return:
    """Return the day of return in a text; the day itself is preferred to the last day of the absence.

    The day after the last one is the return if the last one is included. Different days in two sentences contradict
    each other, as in a note in two languages that was changed in one of them.
    """
    languages = detect_absence_languages(text)
    order, dotted_order = (
        find_order(fold_words(text[:MAX_TEXT_CHARACTERS]), languages, sent),
        find_dotted_order(languages),
    )
    # Where people work on Sundays or Fridays, only the Saturday is sure to be free.
    weekend = {5} if set(languages) & {"ar", "he"} else {5, 6}
    days: dict[str, list[date]] = {"return": [], "until": [], "other": []}
    normal = unicodedata.normalize("NFKC", text[: MAX_SENTENCES * MAX_SENTENCE_CHARACTERS])
    for part in _SENTENCE_END.split(normal)[:MAX_SENTENCES]:
        sentence = fold_words(part[:MAX_SENTENCE_CHARACTERS])
        sentence = sentence.replace(" no dia ", " em dia ")  # Portuguese "on the day", no negation
        mentions = find_mentions(sentence, sent.day, order, dotted_order)
        first: dict[str, date] = {}
        roles = list(_assign_roles(sentence, mentions, languages))
        if all(role.name == "other" for role in roles) and (own := detect_absence_languages(part)):
            # A note in two languages. Words for a day are of other languages here, such as the Afrikaans `more`.
            dated = [mention for mention in mentions if any(map(str.isdigit, sentence[mention.start : mention.end]))]
            roles = list(_assign_roles(sentence, dated, own))
        for role in roles:
            day = _find_first_day(role, weekend)
            if day is not None and is_trusted(day, sent.day):
                first.setdefault(role.name, day)
        for name, day in first.items():
            days[name].append(day)
    if days["return"]:
        return Return(days["return"][0] if len(set(days["return"])) == 1 else None)
    return Return(days["until"][0] if days["until"] else None)


def _find_first_day(role: _Role, weekend: set[int]) -> date | None:
    """Return the first day after an absence; a weekend at its end belongs to it, as in `until Sunday 15 November`."""
    day = role.mention.day
    if day is None:
        return None
    if role.is_inclusive and role.mention.kind == "week":
        return day + timedelta(weeks=1)
    is_included = role.is_inclusive or (role.name == "until" and day.weekday() in weekend)
    return day + timedelta(days=is_included)


@lru_cache(maxsize=256)
def detect_absence_languages(text: str) -> tuple[str, ...]:
    """Return the languages whose words of absence a text has, the likeliest first."""
    folded = fold_words(text[:MAX_TEXT_CHARACTERS])
    scores = {
        language: len({match[0] for match in _load_all(language).finditer(folded)}) for language in load_languages()
    }
    best = max(scores.values())
    return tuple(sorted((name for name, score in scores.items() if score and score >= best * MIN_SHARE)))


@lru_cache(maxsize=64)
def _load_all(language: str) -> re.Pattern[str]:
    words = load_languages()[language]
    names = ("back", "away", "from", "until", "inclusive")
    return re.compile(join_words(tuple(word for name in names for word in words[name])) or r"(?!)")


@dataclass(frozen=True, slots=True)
class _Patterns:
    cue: re.Pattern[str]
    start: re.Pattern[str]
    end: re.Pattern[str]
    start_after: re.Pattern[str]
    end_after: re.Pattern[str]
    inclusive: re.Pattern[str]
    is_verb_last: bool
    """Whether the verb of a clause stands after the date that belongs to it."""


@lru_cache(maxsize=64)
def _load_patterns(languages: tuple[str, ...]) -> _Patterns:
    tables = [load_languages()[language] for language in languages or ("en",)]

    def join(name: str) -> str:
        return join_words(tuple(word for table in tables for word in table.get(name, ()))) or r"(?!)"

    def join_after(name: str) -> str:
        return "|".join(word for table in tables for word in table.get(name, ())) or r"(?!)"

    few = r"\s*(?:\S{1,12}\s+){0,2}?\Z"
    return _Patterns(
        cue=re.compile(rf"(?P<away>{join('away')})|(?P<back>{join('back')})"),
        start=re.compile(rf"(?:{join('from')}){few}"),
        end=re.compile(rf"(?:{join('until')}){few}"),
        start_after=re.compile(rf"\W{{0,2}}(?:{join_after('from_after')})"),
        end_after=re.compile(rf"\W{{0,2}}(?:{join_after('until_after')})"),
        inclusive=re.compile(join("inclusive")),
        is_verb_last=set(languages) <= _VERB_LAST_LANGUAGES and bool(languages),
    )


def _assign_roles(sentence: str, mentions: Sequence[Mention], languages: tuple[str, ...]) -> Iterator[_Role]:
    patterns = _load_patterns(languages)
    mentions = [_extend_range(sentence, mention) for mention in mentions]
    for index, mention in enumerate(mentions):
        start = mentions[index - 1].end if index else 0
        end = mentions[index + 1].start if index + 1 < len(mentions) else len(sentence)
        before, after = sentence[start : mention.start], sentence[mention.end : end]
        if end < len(sentence):  # The last clause before another date belongs to that date.
            after = after[: max((match.start() for match in _CLAUSE.finditer(after)), default=len(after))]
        is_second = index > 0 and (
            _RANGE.fullmatch(before) is not None
            or (
                _CLAUSE.fullmatch(before.strip()) is not None and _BETWEEN.search(sentence[: mentions[index - 1].start])
            )
        )
        yield _assign_role(
            mention, before, after, patterns, is_range_end=bool(is_second) or _ends_day_range(before, patterns)
        )


def _assign_role(mention: Mention, before: str, after: str, patterns: _Patterns, *, is_range_end: bool) -> _Role:
    near = before[-40:]
    is_inclusive = patterns.inclusive.search(near) is not None or patterns.inclusive.search(after[:25]) is not None
    start, end = _find_last(patterns.start, near), _find_last(patterns.end, near)
    last = re.split(r"[,;]", near)[-1]
    if _first_cue(patterns, last, last=True) == "back" and patterns.end.search(last) is None:
        end = -1  # As in `no access to mail, returning 16 November`.
    if mention.ends_range or is_range_end or (end >= 0 and end >= start) or patterns.end_after.match(after):
        clause = before[max((match.end() for match in _CLAUSE.finditer(before)), default=0) :]
        cue = _first_cue(patterns, clause, last=True) or _first_cue(patterns, before, last=True)
        is_weak = _WEAK_END.search(near) is not None and start < 0 and not (is_range_end or mention.ends_range)
        return _Role(mention, "return" if is_weak and cue == "back" else "until", is_inclusive)
    clause = before[max((match.end() for match in _CLAUSE.finditer(before)), default=0) :]
    verb = _first_cue(patterns, after) if patterns.is_verb_last else None
    cue = verb or _first_cue(patterns, clause, last=True) or _first_cue(patterns, after)
    if cue is None:
        cue = _first_cue(patterns, before, last=True)
    return _Role(mention, "return" if cue == "back" else "other")


def _find_last(pattern: re.Pattern[str], text: str) -> int:
    return match.start() if (match := pattern.search(text)) else -1


def _first_cue(patterns: _Patterns, text: str, *, last: bool = False) -> str | None:
    """Return whether the first or last word of return or absence in a text is one of return; a negated one is not."""
    matches = list(patterns.cue.finditer(text))
    if not matches:
        return None
    match = matches[-1 if last else 0]
    if match.lastgroup == "back" and _NEGATION.search(text[: match.start()]):
        return "away"
    if not last and match.lastgroup == "away" and len(matches) > 1 and _NEGATION.match(f"{match[0]} "):
        return "away"
    return match.lastgroup


def _extend_range(sentence: str, mention: Mention) -> Mention:
    """Return the end of a range whose second date is a day alone, as in `November 23 to 27`."""
    match = _DAY_AFTER.match(sentence, mention.end)
    if mention.kind != "date" or mention.day is None or match is None:
        return mention
    try:
        day = mention.day.replace(day=int(match[1]))
    except ValueError:
        return mention
    return replace(mention, day=day, end=match.end(), ends_range=True) if day > mention.day else mention


def _ends_day_range(before: str, patterns: _Patterns) -> bool:
    """Return whether a day alone and a word or dash of a range stand before a date, as in `23 to 27 November`."""
    match = _DAY_BEFORE.search(before)
    if match is None:
        return False
    return match["link"] in {"-", "\u2013", "~", "a", "to", "bis", "au", "al", "do", "til"} or (
        patterns.end.search(match["link"]) is not None
    )

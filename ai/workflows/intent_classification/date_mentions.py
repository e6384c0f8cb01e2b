"""Finds the dates, weekdays and relative days that a folded sentence names, in all languages."""

# ruff: noqa: RUF001 - Words of many alphabets.

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache

from ai.workflows.intent_classification.absence_words import (
    find_numbers,
    fold_words,
    load_name_pattern,
    load_short_weekdays,
)
from ai.workflows.intent_classification.date_readings import Order, WrittenDate, read_date

_ORDINAL = r"(?:st|nd|rd|th|er|re|e|ste|de|a|:a|:e|º|ª|°|η|ης|-?го|-?е|-?ого|-?ro|-?ho|-?nd|an|en)?"
_LINK = r"(?:\s*(?:of|de|del|d'|di|the|do|tháng|m\.|d\.|ב-?|,)?\s*)"
_FIRST = "first|ersten|erster|premier|primero|primeiro|primo|eerste|första|første|primul"
_RELATIVE = {
    1: (
        "tomorrow|morgen|ubermorgen früh|demain|more|manana|amanha|domani|i morgen|imorgen|i morgon|imorgon|huomenna"
        "|jutro|zitra|zajtra|holnap|maine|yarin|завтра|αυριο|明日|明天|내일|מחר|غدا|утре|sutra|jutri|rit|rytoj|besok"
    ),
    2: (
        "day after tomorrow|ubermorgen|apres-demain|overmorgen|oormore|pasado manana|depois de amanha|dopodomani"
        "|i overmorgen|overimorgen|i overmorgon|ylihuomenna|pojutrze|pozitri|pozajtra|holnaputan|poimaine|obur gun"
        "|послезавтра|післязавтра|μεθαυριο|明後日|后天|後天|모레|מחרתיים"
    ),
}
_NEXT_WEEK = (
    "next week|(?:nachste|kommende)[rn]? woche|(?:la )?semaine prochaine|volgende week|komende week|proxima semana"
    "|(?:la )?prossima settimana|nasta vecka|naeste uge|næste uge|neste uke|ensi viikolla|przyszlym tygodniu"
    "|pristi tyden|buduci tyzden|jovo heten|saptamana viitoare|onumuzdeki hafta|gelecek hafta|haftaya|следующей неделе"
    "|наступного тижня|επομενη εβδομαδα|来週|来周|下周|下週|下星期|다음 ?주|השבוע הבא|الأسبوع القادم"
)
_NUMBERS = {
    1: "a|an|one|ein|einer|einem|une?|een|una?|uma|en|ett|et|jeden|tydzien",
    2: "two|zwei|deux|twee|dos|dois|duas|due|tva|to|kahden|dwa|dva|dve|doua|iki|две|два|дві",
    3: "three|drei|trois|drie|tres|tre|kolmen|trzy|tri|trei|uc|три",
    4: "four|vier|quatre|cuatro|quatro|quattro|fyra|fire|neljan|cztery|ctyri|styri|patru|dort|четыре",
}
_WEEK = (
    "weeks?|wochen?|semaines?|semanas?|weken|week|settiman[ae]|veck(?:or|a)|ugers?|uger|uke[r]?|viikon|tygodnie|tygodni"
    "|tydny|tyzdne|het|saptamani|hafta|недел[июь]|тижні|εβδομαδες|주|週間|周|个?星期"
)
_WEEK_NUMBER = (
    r"(?:kalenderwoche|kw|woche|calendar week|cw|week|wk|veckan?|v|uge|uke|semaine|semana|settimana"
    r"|tydzien|tygodniu|tygodnia|tyden|tydnu|tyzden|tyzdni|viikko|viikolla|viikon|saptamana|неделе|неделя|εβδομαδα"
    r"|weeknummer|hafta)\.?\s?"
    r"(?:nr\.?\s?|nummer\s|no\.?\s?)?(?P<week>\d{1,2})(?![\d:/%]|[.,]\d|\s?(?:h|x|am|pm|of|uhr)(?!\w))"
    r"|(?P<week2>\d{1,2})\.\s?(?:kalenderwoche|kw|het(?:en|re|tol)?|tyden|tydnu|tyzden|tyzdni|tydzien|viikolla|haftada?)"
    r"|第?(?P<week3>\d{1,2})\s?(?:周|週|주차)(?![間后後间]|\s?[후뒤])"
)
"""A week by its number of ISO 8601, as in `KW 48`."""
_IN = "in|dans|over|binnen|oor|en|em|dentro de|tra|fra|om|za|in hooguit|peste|через|σε"
MAX_WEEKDAY_GAP = 14
_GAP = re.compile(
    r"(?:-feira)?[\s,،.(]*(?:(?:the|den|dem|der|le|el|il|de|o|dia|d|on|am|op)\.?\s+|(?:19|20)\d\d\.\s+gada\s+)?\Z"
)
_WEEKS = ("next_week", "week", "week2", "week3")
_WEEK_GAP = re.compile(r"[\s,(]*(?:(?:in|i|der|den|de|di|del|la|of|the|on|w|ve|en|van)\s+){0,2}")
_CJK_WEEKDAYS = "月火水木金土日一二三四五六天월화수목금토일"
_BRACKET = re.compile(
    r"\s*[(（](?:周|星期|礼拜)?([月火水木金土日一二三四五六天월화수목금토일])(?:曜日?|요일)?(?:・祝)?[)）]"
)
"""A weekday in brackets after a date, as in `11月2日(月)`."""
_AFTER = re.compile(r"(?:['-][^\W\d_]{1,4}|\.|\s*d\.)?[\s,،]*(?:יום\s+)?[(（\[]?\s*\Z")
_DAY_NUMBER = r"(?P<day>\d{1,2})(?:st|nd|rd|th|er|e|º|ª|:a|:e|\.)?"
_NUMBER_BEFORE = re.compile(rf"(?<![\d.:/-]){_DAY_NUMBER}[\s,]+(?:de\s+)?\Z")
_NUMBER_AFTER = re.compile(
    rf"[\s,(]*(?:(?:the|den|dem|der|le|el|il|o|dia|d|de)\.?\s+)?{_DAY_NUMBER}(?![\w:/%]|[.,-]\d"
    r"|\s*(?:uhr|h|hrs?|hours?|am|pm|a\.m|p\.m|o'?clock|uur|u|klo|kl|hod|heures?|horas?|ore)(?!\w))"
)
MONTHS_AHEAD = 3
"""How many months ahead a day number without a month, beside its weekday, may be."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A day that a text names; `day` is None if the date cannot be read for sure."""

    start: int
    end: int
    day: date | None
    kind: str = "date"
    ends_range: bool = False


@cache
def _load_pattern() -> re.Pattern[str]:
    month, weekday = load_name_pattern("month"), load_name_pattern("weekday")
    next_week, tomorrow, day_after = (_flatten(words) for words in (_NEXT_WEEK, _RELATIVE[1], _RELATIVE[2]))
    week, within, first = _flatten(_WEEK), _flatten(_IN), _flatten(_FIRST)
    year = r"(?:19|20)\d\d"
    numbers = "|".join((r"\d{1,2}", *map(_flatten, _NUMBERS.values())))
    return re.compile(
        rf"""(?P<y1>{year})\s?[-/.年년]\s?(?P<m1>\d{{1,2}})\s?[-/.月월]\s?(?P<d1>\d{{1,2}})\s?[日일号號]?(?!\d)
        | (?P<m2>\d{{1,2}})\s?[月월]\s?(?P<d2>\d{{1,2}})\s?[日일号號]?(?!\d)
        | (?P<d3>\d{{1,2}})\s+thang\s+(?P<m3>\d{{1,2}})(?:[\s,]+(?:nam\s+)?(?P<y3>{year}))?
        | (?P<y4>{year})\.?\s*(?:m\.\s*)?(?P<n4>{month})\s+(?P<d4>\d{{1,2}})(?!\d)
        | (?<!\d)(?P<d5>\d{{1,2}}|{first}){_ORDINAL}\.?{_LINK}(?P<n5>{month})\.?
          (?:[\s,]*(?:de[l]?\s+|of\s+)?(?P<y5>{year})(?!\d))?
        | (?P<n6>{month})\.?\s+(?:the\s+)?(?P<d6>\d{{1,2}})(?!\d|[.:]\d){_ORDINAL}(?:[\s,.]+(?P<y6>{year})(?!\d))?
        | (?<![\d.:/])(?P<a>\d{{1,2}})(?:(?P<s>[./-])\s?)(?P<b>\d{{1,2}})
          (?:(?P=s)\s?(?P<y7>\d{{4}}|\d{{2}})?(?!\d)|(?![\d:/]))
        | (?<!\w)(?:{within})\s+(?P<count>{numbers})\s+(?P<weeks>{week})(?!\w)
        | (?P<count2>\d{{1,2}})\s?(?:週間|周|个?星期|주)\s?(?:後|后|뒤|후)
        | (?P<next_week>{next_week})
        | (?<!\w)(?:{_WEEK_NUMBER})(?!\w)
        | (?<!good\s)(?<!guten\s)(?<!goeie\s)(?<!god\s)(?<!heute\s)(?<!diesen\s)(?<!la\s)(?<!\w)
          (?:(?P<in2>{day_after})|(?P<in1>{tomorrow}))(?!\w)
        | (?P<weekday>{weekday})""",
        re.VERBOSE,
    )


def _flatten(words: str) -> str:
    """Return words as a part of a pattern that ignores spaces, folded."""
    return fold_words(words).replace(" ", r"\s+")


def find_mentions(sentence: str, sent: date, order: Order | None, dotted_order: Order = "day") -> list[Mention]:
    """Return the days in a folded sentence, in order; a weekday beside a date is part of it, and a range has one."""
    mentions: list[Mention] = []
    for match in _load_pattern().finditer(sentence):
        groups = {name: value for name, value in match.groupdict().items() if value}
        weekdays = frozenset[int]()
        start = match.start()
        if mentions and mentions[-1].kind == "weekday" and "weekday" not in groups and _is_written(groups):
            gap = sentence[mentions[-1].end : start]
            if len(gap) <= MAX_WEEKDAY_GAP and _GAP.match(gap):
                weekdays = find_numbers("weekday", sentence[mentions[-1].start : mentions[-1].end])
                start = mentions.pop().start
        end = match.end()
        if _is_written(groups) and (bracket := _BRACKET.match(sentence, end)):
            weekdays, end = frozenset({_CJK_WEEKDAYS.index(bracket[1]) % 7}), bracket.end()
        if weekday := groups.get("weekday"):
            if _join_weekday(mentions, sentence, match, weekday, sent, order, dotted_order):
                continue
            before = sentence[mentions[-1].end if mentions else 0 : start]
            day = _find_numbered_day(weekday, before, sentence[end:], sent) or _next_weekday(weekday, sent)
            mentions.append(Mention(start, end, day, "weekday"))
            continue
        # Elsewhere a short word before a date is rather a preposition, such as the Polish `do`.
        hints = _find_hints(sentence[max(0, start - 8) : start]) if groups.get("s") in {"/", "-"} else frozenset[int]()
        day = _read(groups, sent, order, dotted_order, weekdays, hints)
        if day is None and not _is_possible(groups):
            continue
        kind = "week" if groups.keys() & _WEEKS else "date"
        if kind == "week" and day and mentions and mentions[-1].kind == "weekday":
            gap, numbers = sentence[mentions[-1].end : start], _read_weekdays(sentence, mentions[-1])
            if len(gap) <= MAX_WEEKDAY_GAP and len(numbers) == 1 and _WEEK_GAP.fullmatch(gap):
                start, day, kind = mentions.pop().start, day + timedelta(days=min(numbers)), "date"
        mentions.append(Mention(start, end, day, kind))
    return mentions


def _join_weekday(
    mentions: list[Mention],
    sentence: str,
    match: re.Match[str],
    weekday: str,
    sent: date,
    order: Order | None,
    dotted_order: Order,
) -> bool:
    """Add a weekday to the date or week directly before it, as in `11月2日(月曜日)`; return whether it was added.

    Without a bracket between them, a weekday that is not that of the date is another day.
    """
    if not mentions or not _AFTER.match(sentence[mentions[-1].end : match.start()].replace("の", "")):
        return False
    last, numbers = mentions[-1], find_numbers("weekday", weekday)
    if last.kind == "week" and last.day and len(numbers) == 1:
        mentions[-1] = replace(last, end=match.end(), day=last.day + timedelta(days=min(numbers)), kind="date")
        return True
    is_joined = "(" in sentence[last.end : match.start()] or "\u3040" <= weekday[0] <= "\ud7a3"
    if last.kind != "date":
        return False
    written = _load_pattern().match(sentence, last.start)
    if written and _is_written(groups := {name: value for name, value in written.groupdict().items() if value}):
        day = _read(groups, sent, order, dotted_order, numbers, frozenset())
        if not is_joined and (day is None or last.day not in {None, day}):
            return False
        mentions[-1] = replace(last, end=match.end(), day=day)
        return True
    return is_joined


def _find_numbered_day(weekday: str, before: str, after: str, sent: date) -> date | None:
    """Return the next day with the number that stands beside a weekday, as in `Monday the 23rd`, and that weekday."""
    number = _NUMBER_AFTER.match(after) or _NUMBER_BEFORE.search(before)
    if number is None:
        return None
    weekdays, day = find_numbers("weekday", weekday), int(number["day"])
    ahead = (sent + timedelta(days=days) for days in range(MONTHS_AHEAD * 31))
    return next((date_ for date_ in ahead if date_.day == day and date_.weekday() in weekdays), None)


def _read_weekdays(sentence: str, mention: Mention) -> frozenset[int]:
    return find_numbers("weekday", sentence[mention.start : mention.end])


def _is_written(groups: dict[str, str]) -> bool:
    return any(name[0] in "mdab" and len(name) <= 2 for name in groups)  # noqa: PLR2004 - the groups of dates


def _is_possible(groups: dict[str, str]) -> bool:
    """Return whether the numbers can be a date at all; 31 February is one, a version number is none."""
    numbers = [int(groups[name]) for name in ("a", "b") if name in groups]
    return not numbers or (0 < min(numbers) <= 12 and max(numbers) <= 31)  # noqa: PLR2004 - month and day


def _next_weekday(name: str, sent: date) -> date | None:
    numbers = find_numbers("weekday", name)
    if len(numbers) != 1:
        return None
    return sent + timedelta(days=(min(numbers) - sent.weekday() - 1) % 7 + 1)


def _find_hints(before: str) -> frozenset[int]:
    words = re.findall(r"[^\W\d_]+", before)
    return load_short_weekdays().get(words[-1], frozenset()) if words else frozenset()


def _read(
    groups: dict[str, str],
    sent: date,
    order: Order | None,
    dotted_order: Order,
    weekdays: frozenset[int],
    hints: frozenset[int],
) -> date | None:
    for name, days in (("in1", 1), ("in2", 2)):
        if name in groups:
            return sent + timedelta(days=days)
    if "next_week" in groups:
        return sent + timedelta(days=7 - sent.weekday())
    if week := next((groups[name] for name in _WEEKS if name in groups), None):
        return _find_monday(int(week), sent)
    if count := groups.get("count") or groups.get("count2"):
        return sent + timedelta(weeks=_read_number(count))
    readings = tuple(_find_readings(groups, order, dotted_order))
    year = next((int(value) for name, value in groups.items() if name[0] == "y"), None)
    if year is not None and year < 100:  # noqa: PLR2004 - 26 is 2026
        year += 2000
    is_order_known = order is not None or groups.get("s") == "."
    return read_date(WrittenDate(readings, year, weekdays, hints), sent, is_order_known=is_order_known)


def _find_monday(week: int, sent: date) -> date | None:
    """Return the Monday of a week of the year, the first one that is not over."""
    for year in (sent.isocalendar().year, sent.isocalendar().year + 1):
        with contextlib.suppress(ValueError):
            monday = date.fromisocalendar(year, week, 1)
            if monday + timedelta(days=6) >= sent:
                return monday
    return None


def _read_number(count: str) -> int:
    if count.isdecimal():
        return int(count)
    return next((number for number, names in _NUMBERS.items() if re.fullmatch(names, count)), 1)


def _find_readings(groups: dict[str, str], order: Order | None, dotted_order: Order) -> Iterator[tuple[int, int]]:
    """Yield the pairs of day and month that a date can mean, the likely one first."""
    for number in range(1, 7):
        if day := groups.get(f"d{number}"):
            months = {int(groups[f"m{number}"])} if f"m{number}" in groups else set[int]()
            months = months or set(find_numbers("month", groups.get(f"n{number}", "")))
            # Of two months with one name the later is meant in more languages.
            yield from ((int(day) if day.isdecimal() else 1, month) for month in sorted(months, reverse=True))
            return
    first, second, is_dotted = int(groups["a"]), int(groups["b"]), groups["s"] == "."
    pairs = [(first, second), (second, first)]
    if (dotted_order if is_dotted else order) == "month":
        pairs.reverse()
    if is_dotted and pairs[0][1] <= 12:  # noqa: PLR2004 - months
        pairs = pairs[:1]
    yield from (pair for pair in pairs if 0 < pair[1] <= 12)  # noqa: PLR2004 - months

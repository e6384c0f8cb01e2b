"""Finds the day on which somebody who is away says to be back."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

_MONTHS = {
    month: number
    for number, months in enumerate(
        (
            "january jan januar jänner januari janvier januarie enero janeiro",
            "february feb februar februari février fevrier februarie febrero fevereiro",
            "march mar märz maerz maart mars marzo março",
            "april apr avril abril",
            "may mai mei mayo maio",
            "june jun juni juin junie junio junho",
            "july jul juli juillet julie julio julho",
            "august aug augustus août aout agosto",
            "september sep sept septembre septiembre setembro",
            "october oct oktober okt octobre octubre outubro",
            "november nov novembre noviembre novembro",
            "december dec dezember dez décembre decembre desember des diciembre dezembro",
        ),
        start=1,
    )
    for month in months.split()
}
_WEEKDAYS = {
    day: number
    for number, days in enumerate(
        (
            "monday montag lundi maandag lunes segunda",
            "tuesday dienstag mardi dinsdag martes terça",
            "wednesday mittwoch mercredi woensdag woensdag miércoles quarta",
            "thursday donnerstag jeudi donderdag jueves quinta",
            "friday freitag vendredi vrydag vrijdag viernes sexta",
            "saturday samstag sonnabend samedi saterdag zaterdag sábado",
            "sunday sonntag dimanche sondag zondag domingo",
        )
    )
    for day in days.split()
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATE = re.compile(
    rf"""(?P<iso>\d{{4}}-\d{{2}}-\d{{2}})
    | (?P<day>\d{{1,2}})(?:st|nd|rd|th|er|ste|de|º)?\.?\s+(?:of\s+|de\s+)?(?P<month>{_MONTH})\b\.?
      (?:,?\s+(?:de\s+)?(?P<year>\d{{4}}))?
    | (?P<month2>{_MONTH})\.?\s+(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(?P<year2>\d{{4}}))?
    | (?P<first>\d{{1,2}})[./-](?P<second>\d{{1,2}})[./-](?P<year3>\d{{4}}|\d{{2}})?(?!\d)
    | (?<!good\s)(?<!guten\s)\b(?P<tomorrow>tomorrow|morgen|demain|môre|mañana|amanhã)\b
    | \b(?P<weekday>{"|".join(_WEEKDAYS)})\b""",
    re.VERBOSE | re.IGNORECASE,
)
_BACK = re.compile(
    r"\b(?:back|available|reachable|joignable|disponible|erreichbar|bereikbaar|beskikbaar|return(?:ing|s|ed)?"
    r"|in the office again|re-?open(?:s|ing)?|resum(?:e|es|ing)|repren(?:ds|drai|drons|ons)|reprise"
    r"|next (?:be )?(?:at|in|available|working)|open(?:s)? again|wieder\w*|zurück\w*|rückkehr|retour|revien(?:s|drai)"
    r"|réouverture|rouvr\w+|rentre(?:rai)?|terug|weer|heropen|vuelvo|volver(?:é|emos)|regreso|regresaré|reincorpor\w+"
    r"|retorno|volto|voltarei|regresso|reabr\w+)\b",
    re.IGNORECASE,
)
_UNTIL = re.compile(
    r"\b(?:until|till|through|up to(?: and including)?|bis|jusqu'?(?:au|à|en)?|tot|t/m|hasta|até)\b", re.IGNORECASE
)
_RANGE = re.compile(
    r"\s*(?:to|until|till|through|bis|au|jusqu'au|tot|t/m|al?|hasta|até|ao|[-\u2013\u2014])\s+(?:\S+\s+){0,3}",
    re.IGNORECASE,
)
_SINCE = re.compile(
    r"\b(?:since|from|seit|vom|depuis|du|sedert|sinds|vanaf|van|desde|del)\s+(?:\w+\s+)?$", re.IGNORECASE
)
_SENTENCE_END = re.compile(r"\n\s*\n|[!?]|(?<!\d)\.\s+(?=[A-ZÀ-Þ])|(?<=\d{4})\.\s")
SENTENCES = 60  # an honest message has fewer
LONGEST = 400  # characters of a sentence that are read
FARTHEST = timedelta(days=366)
BESIDE = 8  # characters between a weekday and its date: "Montag, dem 30. November"


@dataclass(frozen=True, slots=True)
class _Mention:
    start: int
    end: int
    day: date
    is_weekday: bool
    ends_range: bool = False


def return_date(text: str, received: date) -> date | None:
    """Return the day of return that a text names, reckoned from the day it was received; None if it names none.

    The day somebody is back is preferred to the day until which they are away.
    """
    sentences = [(one[:LONGEST], _mentions(one[:LONGEST], received)) for one in _SENTENCE_END.split(text)[:SENTENCES]]
    for reading in (_after_back, _before_back, _end_of_range, _after_until):
        for sentence, mentions in sentences:
            for mention in reading(sentence, mentions):
                if received <= mention.day <= received + FARTHEST:
                    return mention.day
    return None


def _after_back(sentence: str, mentions: Sequence[_Mention]) -> Iterator[_Mention]:
    for word in _BACK.finditer(sentence):
        yield from (one for one in mentions if one.start >= word.end())


def _before_back(sentence: str, mentions: Sequence[_Mention]) -> Iterator[_Mention]:
    for word in _BACK.finditer(sentence):
        before = [one for one in mentions if one.end <= word.start() and not _SINCE.search(sentence[: one.start])]
        yield from reversed(before)


def _end_of_range(sentence: str, mentions: Sequence[_Mention]) -> Iterator[_Mention]:
    del sentence
    yield from (one for one in mentions if one.ends_range)


def _after_until(sentence: str, mentions: Sequence[_Mention]) -> Iterator[_Mention]:
    for word in _UNTIL.finditer(sentence):
        yield from (one for one in mentions if one.start >= word.end())


def _mentions(sentence: str, received: date) -> list[_Mention]:
    """Return the days a sentence names, in order.

    A weekday that stands before its date is that date; of a range only the end counts, for who is away leaves first.
    """
    mentions: list[_Mention] = []
    for found in _DATE.finditer(sentence):
        try:
            parts = {name: value for name, value in found.groupdict().items() if value}
            one = _Mention(found.start(), found.end(), _date_of(parts, received), "weekday" in parts)
        except ValueError:
            continue  # 31 February, or a number that is no date
        if mentions and mentions[-1].is_weekday and one.start - mentions[-1].end <= BESIDE:
            one = replace(one, ends_range=mentions.pop().ends_range)
        elif mentions and _RANGE.fullmatch(sentence[mentions[-1].end : one.start]):
            mentions.pop()
            one = replace(one, ends_range=True)
        mentions.append(one)
    return mentions


def _date_of(parts: dict[str, str], received: date) -> date:
    if iso := parts.get("iso"):
        return date.fromisoformat(iso)
    if "tomorrow" in parts:
        return received + timedelta(days=1)
    if weekday := parts.get("weekday"):
        ahead = (_WEEKDAYS[weekday.casefold()] - received.weekday() - 1) % 7 + 1
        return received + timedelta(days=ahead)
    if "first" in parts:
        day, month = int(parts["first"]), int(parts["second"])
        if month > 12:  # noqa: PLR2004 - written month first
            day, month = month, day
        year = parts.get("year3")
    else:
        day = int(parts.get("day") or parts["day2"])
        month = _MONTHS[(parts.get("month") or parts["month2"]).casefold()]
        year = parts.get("year") or parts.get("year2")
    if year:
        return date(int(year) + (2000 if len(year) == 2 else 0), month, day)  # noqa: PLR2004 - 26 is 2026
    this_year = date(received.year, month, day)
    return this_year if this_year >= received else date(received.year + 1, month, day)

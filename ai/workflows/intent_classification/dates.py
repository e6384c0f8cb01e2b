"""Finds the return date in an out-of-office message."""

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
MAX_SENTENCES = 60  # a genuine message has fewer
MAX_SENTENCE_CHARACTERS = 400  # more characters of a sentence are ignored
MAX_AHEAD = timedelta(days=366)
MAX_WEEKDAY_GAP = 8  # the maximum number of characters between a weekday and its date: "Montag, dem 30. November"


@dataclass(frozen=True, slots=True)
class _Mention:
    start: int
    end: int
    day: date
    is_weekday: bool
    ends_range: bool = False


def find_return_date(text: str, received: date) -> date | None:
    """Return the return date in a text that was received on a given day, or None.

    The day of the return is preferred to the last day of the absence.
    """
    parts = [part[:MAX_SENTENCE_CHARACTERS] for part in _SENTENCE_END.split(text)[:MAX_SENTENCES]]
    sentences = [(part, _find_dates(part, received)) for part in parts]
    for find_candidates in (_dates_after_return, _dates_before_return, _ends_of_ranges, _dates_after_until):
        for sentence, mentions in sentences:
            for mention in find_candidates(sentence, mentions):
                if received <= mention.day <= received + MAX_AHEAD:
                    return mention.day
    return None


def _dates_after_return(sentence: str, mentions: Sequence[_Mention]) -> Iterator[_Mention]:
    for word in _BACK.finditer(sentence):
        yield from (mention for mention in mentions if mention.start >= word.end())


def _dates_before_return(sentence: str, mentions: Sequence[_Mention]) -> Iterator[_Mention]:
    for word in _BACK.finditer(sentence):
        before = [
            mention
            for mention in mentions
            if mention.end <= word.start() and not _SINCE.search(sentence[: mention.start])
        ]
        yield from reversed(before)


def _ends_of_ranges(sentence: str, mentions: Sequence[_Mention]) -> Iterator[_Mention]:
    del sentence
    yield from (mention for mention in mentions if mention.ends_range)


def _dates_after_until(sentence: str, mentions: Sequence[_Mention]) -> Iterator[_Mention]:
    for word in _UNTIL.finditer(sentence):
        yield from (mention for mention in mentions if mention.start >= word.end())


def _find_dates(sentence: str, received: date) -> list[_Mention]:
    """Return the dates in a sentence, in order.

    A weekday directly before a date is part of that date; of a range only the end is returned.
    """
    mentions: list[_Mention] = []
    for match in _DATE.finditer(sentence):
        try:
            parts = {name: value for name, value in match.groupdict().items() if value}
            mention = _Mention(match.start(), match.end(), _to_date(parts, received), "weekday" in parts)
        except ValueError:
            continue  # 31 February, or another invalid date
        if mentions and mentions[-1].is_weekday and mention.start - mentions[-1].end <= MAX_WEEKDAY_GAP:
            mention = replace(mention, ends_range=mentions.pop().ends_range)
        elif mentions and _RANGE.fullmatch(sentence[mentions[-1].end : mention.start]):
            mentions.pop()
            mention = replace(mention, ends_range=True)
        mentions.append(mention)
    return mentions


def _to_date(parts: dict[str, str], received: date) -> date:
    if iso := parts.get("iso"):
        return date.fromisoformat(iso)
    if "tomorrow" in parts:
        return received + timedelta(days=1)
    if weekday := parts.get("weekday"):
        ahead = (_WEEKDAYS[weekday.casefold()] - received.weekday() - 1) % 7 + 1
        return received + timedelta(days=ahead)
    if "first" in parts:
        day, month = int(parts["first"]), int(parts["second"])
        if month > 12:  # noqa: PLR2004 - the month is first
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

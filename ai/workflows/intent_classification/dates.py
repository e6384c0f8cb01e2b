"""Finds the day on which somebody who is away says to be back."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import islice

_MONTHS = {
    month: number
    for number, months in enumerate(
        (
            "january jan januar januari janvier januarie enero janeiro",
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
            "december dec dezember dez décembre decembre desember diciembre dezembro",
        ),
        start=1,
    )
    for month in months.split()
}
_WEEKDAYS = {
    day: number
    for number, days in enumerate(
        (
            "monday montag lundi maandag lunes",
            "tuesday dienstag mardi dinsdag martes",
            "wednesday mittwoch mercredi woensdag woensdag miércoles",
            "thursday donnerstag jeudi donderdag jueves",
            "friday freitag vendredi vrydag vrijdag viernes",
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
    | \b(?P<weekday>{"|".join(_WEEKDAYS)})\b""",
    re.VERBOSE | re.IGNORECASE,
)
_BACK = re.compile(
    r"\b(?:back|return(?:ing|s)?|available again|in the office again|wieder|zurück|de retour|reviens|serai de retour"
    r"|terug|vuelvo"
    r"|regreso|volveré|retorno|volto|regresso)\b",
    re.IGNORECASE,
)
_UNTIL = re.compile(r"\b(?:until|till|through|to|bis|jusqu'?(?:au|à|en)?|tot|t/m|hasta|até)\b", re.IGNORECASE)
MENTIONS = 40  # of such a word; an honest message has fewer
REACH = 60  # characters between the word and the date
FARTHEST = timedelta(days=366)


def return_date(text: str, received: date) -> date | None:
    """Return the day of return that a text names, reckoned from the day it was received; None if it names none."""
    for word in (_BACK, _UNTIL):
        for found in islice(word.finditer(text), MENTIONS):
            sentence = re.split(r"[\n!?]|\.\s+(?=[A-Z])", text[found.end() : found.end() + REACH], maxsplit=1)[0]
            for day in _dates_in(sentence, received):
                if received <= day <= received + FARTHEST:
                    return day
    return None


def _dates_in(text: str, received: date) -> Iterator[date]:
    for found in _DATE.finditer(text):
        try:
            yield _date_of({name: value for name, value in found.groupdict().items() if value}, received)
        except ValueError:
            continue  # 31 February, or a number that is no date


def _date_of(parts: dict[str, str], received: date) -> date:
    if iso := parts.get("iso"):
        return date.fromisoformat(iso)
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

# ruff: noqa: RUF001 - Words of many alphabets.
"""A weekday beside a date only checks it, in every language and on either side."""

from datetime import date

import pytest
from babel import Locale
from babel.dates import format_date

from ai.workflows.intent_classification.absence_words import fold_words, load_languages
from ai.workflows.intent_classification.date_mentions import find_mentions
from ai.workflows.intent_classification.dates import find_return_date

SENT = date(2026, 10, 26)
DAYS = [date(2026, 11, 4), date(2026, 11, 23), date(2026, 12, 11)]
WITHOUT_SPACES = {"ja", "ko", "vi"}
"""Languages that write the month as a number, so that only their full format counts."""


@pytest.mark.parametrize("language", sorted(load_languages()))
def test_a_date_wins_over_its_weekday(language: str) -> None:
    """A day, its month and its weekday are one date, whatever their order, and never the next such weekday."""
    locale = Locale.parse(language)
    wrong = []
    for day in DAYS:
        month = locale.months["format"]["wide"][day.month]
        weekday = locale.days["format"]["wide"][day.weekday()]
        texts = [format_date(day, "full", locale=locale)]
        if language not in WITHOUT_SPACES:
            texts += [f"{day.day} {month} {weekday}", f"{day.day} {month}, {weekday}", f"{weekday} {day.day} {month}"]
        for text in texts:
            days = {mention.day for mention in find_mentions(fold_words(text), SENT, "day")}
            if days != {day}:
                wrong.append((text, days))
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("23 Kasım Pazartesi günü ofise döneceğim.", date(2026, 11, 23)),
        ("Ofiste değilim. 23 Kasım Pazartesi döneceğim.", date(2026, 11, 23)),
        ("I will be back on Monday the 23rd.", date(2026, 11, 23)),
        ("Ich bin am Montag, 23., wieder da.", date(2026, 11, 23)),
        ("Ik ben terug op maandag 23.", date(2026, 11, 23)),
        ("I will be back on Monday 9 am.", date(2026, 11, 2)),
        ("I will be back on Monday at 9:00.", date(2026, 11, 2)),
        ("Ich bin am Montag 9 Uhr wieder da.", date(2026, 11, 2)),
        ("Away until Friday 20 November, Monday I am back.", date(2026, 11, 2)),
    ],
)
def test_a_number_beside_a_weekday(text: str, day: date) -> None:
    """A day number beside its weekday is a date; a time of day is none, and another weekday is another day."""
    assert find_return_date(text, SENT) == day

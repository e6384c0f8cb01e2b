from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai.workflows.intent_classification.date_readings import MAX_AHEAD
from ai.workflows.intent_classification.dates import find_return_date

FRIDAY = date(2026, 11, 20)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("I am away until 1 December 2026.", date(2026, 12, 1)),
        ("I'll be back on January 4th", date(2027, 1, 4)),
        ("Returning 2026-12-07.", date(2026, 12, 7)),
        ("Away from 23 November to 27 November", date(2026, 11, 27)),
        ("Closed from 24 December 2026 to 3 January 2027. We reopen on 4 January.", date(2027, 1, 4)),
        ("I will be back on Monday.", date(2026, 11, 23)),
        ("In a course all day. Back tomorrow.", date(2026, 11, 21)),
        ("Not available from 23 to 27 November 2026", date(2026, 11, 27)),
        ("On holiday up to and including 4 December.", date(2026, 12, 5)),
        ("I have been away since Monday and am back soon.", None),
        ("Ich bin ab dem 30. November wieder im Büro, wieder am 01.12.2026", date(2026, 11, 30)),
        ("Ab Montag, dem 30. November, bin ich wieder da.", date(2026, 11, 30)),
        ("Ich bin vom 20.11. bis 2.12. nicht im Haus.", date(2026, 12, 2)),
        ("Ich bin bis 30.11. im Urlaub", date(2026, 11, 30)),
        ("bis und mit 4. Dezember", date(2026, 12, 5)),
        ("absent jusqu'au 27 novembre", date(2026, 11, 27)),
        ("Absent du 16/11/2026 au 25/11/2026.", date(2026, 11, 25)),
        ("joignable à partir du mercredi 2 décembre", date(2026, 12, 2)),
        ("je reprends le service lundi", date(2026, 11, 23)),
        ("Ek is terug op 5 Januarie", date(2027, 1, 5)),
        ("eers Maandag weer beskikbaar", date(2026, 11, 23)),
        ("gesluit tot en met 8 Januarie 2027", date(2027, 1, 9)),
        ("Ik ben terug op maandag 7 december", date(2026, 12, 7)),
        ("Vuelvo el 3 de diciembre de 2026", date(2026, 12, 3)),
        ("Volto em 12/12/2026", date(2026, 12, 12)),
        ("until further notice", None),
        ("until 31 February", None),
        ("back on 1 May 2019", None),
    ],
)
def test_return_dates(text: str, day: date | None) -> None:
    """The return date is found relative to the day of receipt, and is never in the past; an included day is not it."""
    assert find_return_date(text, FRIDAY) == day


@given(
    st.lists(
        st.sampled_from(["back", "until", "31.2.", "99/99/9999", "0 May", "Monday", "bis", ". A", "29 Feb", "\n\n"])
    )
)
def test_any_text_has_a_valid_return_date_or_none(parts: list[str]) -> None:
    """For any text, the return date is within a year or None."""
    day = find_return_date(" ".join(parts), FRIDAY)
    assert day is None or FRIDAY <= day <= FRIDAY + MAX_AHEAD


@pytest.mark.parametrize(
    ("text", "sent", "day"),
    [
        ("I am out of office 11/09 through 11/13 with no access to email, returning 11/16.", (11, 9), (11, 16)),
        ("I am out of office 11/09 through 11/13 with no access to email.", (11, 9), (11, 14)),
        ("11월 9일부터 11월 13일까지 휴가입니다. 11월 16일(월)에 복귀합니다.", (11, 9), (11, 16)),
        ("Я в отпуске. Буду на рабочем месте с 30 ноября.", (11, 16), (11, 30)),  # noqa: RUF001
        ("Estou de férias e retorno no dia 07/12.", (11, 16), (12, 7)),
    ],
)
def test_a_day_of_return_wins(text: str, sent: tuple[int, int], day: tuple[int, int]) -> None:
    """A named day of return wins over the end of a range; without one the day after the range does."""
    assert find_return_date(text, date(2026, *sent)) == date(2026, *day)

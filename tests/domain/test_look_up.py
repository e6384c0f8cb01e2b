from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.look_up import LONGEST, SHORTEST, Search

CLAIMED = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTES, HOURS = timedelta(minutes=1), timedelta(hours=1)


def test_looks_grow_apart_until_a_person_is_asked() -> None:
    """A send is looked for after 15 minutes, then each time twice as late up to 4 hours, and last after 24 hours."""
    search = Search(CLAIMED, wait=24 * HOURS, first=15 * MINUTES)
    now, looks, made = CLAIMED + 15 * MINUTES, 0, []
    while True:
        made.append((now - CLAIMED) / HOURS)
        if search.is_over(now):
            break
        looks += 1
        now = search.next_look(looks, now)
    assert made == [0.25, 0.75, 1.75, 3.75, 7.75, 11.75, 15.75, 19.75, 23.75, 24]


def test_a_look_waits_at_least_a_minute_and_doubles_sixteen_times() -> None:
    """However short the first wait, the next look is a minute away; from the 16th in vain on the wait stays."""
    for first, looks, seconds in ((1, 0, 60), (1, 5, 60), (1, 6, 64), (0.1, 15, 3276.8), (0.1, 16, 6553.6)):
        search = Search(CLAIMED, wait=24 * HOURS, first=timedelta(seconds=first))
        assert search.next_look(looks, CLAIMED) - CLAIMED == timedelta(seconds=seconds)
    assert search.next_look(17, CLAIMED) == search.next_look(16, CLAIMED)


@given(st.integers(1, 720), st.floats(0, 600), st.integers(0, 10_000), st.floats(0, 2_000))
def test_the_next_look_is_neither_at_once_nor_missed(wait: int, first: float, looks: int, hours: float) -> None:
    """Whatever the settings: always later, never hours late, and none is made between two looks at the end."""
    search = Search(CLAIMED, wait * HOURS, first * MINUTES)
    now = CLAIMED + hours * HOURS
    at = search.next_look(looks, now)
    assert now < at <= now + LONGEST
    assert at - now >= SHORTEST or at == search.stuck_at
    assert search.is_over(now) or at <= search.stuck_at

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.lookup_schedule import MAX_INTERVAL, MIN_INTERVAL, LookupSchedule

CLAIMED = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTES, HOURS = timedelta(minutes=1), timedelta(hours=1)


def test_lookup_intervals_double_until_the_send_is_stuck() -> None:
    """A send is looked up after 15 minutes, then at doubling intervals of up to 4 hours, and last after 24 hours."""
    schedule = LookupSchedule(CLAIMED, max_wait=24 * HOURS, initial_delay=15 * MINUTES)
    now, failed_lookups, lookups = CLAIMED + 15 * MINUTES, 0, []
    while True:
        lookups.append((now - CLAIMED) / HOURS)
        if schedule.is_over(now):
            break
        failed_lookups += 1
        now = schedule.next_lookup_at(failed_lookups, now)
    assert lookups == [0.25, 0.75, 1.75, 3.75, 7.75, 11.75, 15.75, 19.75, 23.75, 24]


def test_the_interval_is_at_least_a_minute_and_doubles_sixteen_times() -> None:
    """With a short initial delay the interval is a minute; after 16 failed lookups it stops doubling."""
    for initial_seconds, failed_lookups, seconds in (
        (1, 0, 60),
        (1, 5, 60),
        (1, 6, 64),
        (0.1, 15, 3276.8),
        (0.1, 16, 6553.6),
    ):
        initial_delay = timedelta(seconds=initial_seconds)
        schedule = LookupSchedule(CLAIMED, max_wait=24 * HOURS, initial_delay=initial_delay)
        assert schedule.next_lookup_at(failed_lookups, CLAIMED) - CLAIMED == timedelta(seconds=seconds)
    assert schedule.next_lookup_at(17, CLAIMED) == schedule.next_lookup_at(16, CLAIMED)


@given(st.integers(1, 720), st.floats(0, 600), st.integers(0, 10_000), st.floats(0, 2_000))
def test_the_next_lookup_is_between_the_shortest_and_the_longest_interval(
    max_hours: int, initial_minutes: float, failed_lookups: int, hours: float
) -> None:
    """With any settings the next lookup is within the interval limits, except that the last one is at `stuck_at`."""
    schedule = LookupSchedule(CLAIMED, max_hours * HOURS, initial_minutes * MINUTES)
    now = CLAIMED + hours * HOURS
    at = schedule.next_lookup_at(failed_lookups, now)
    assert now < at <= now + MAX_INTERVAL
    assert at - now >= MIN_INTERVAL or at == schedule.stuck_at
    assert schedule.is_over(now) or at <= schedule.stuck_at

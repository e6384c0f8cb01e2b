from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import NoSendingTime
from domain.schedule import (
    Constraint,
    NotBefore,
    SendingHours,
    SendingTime,
    SendingWindow,
    StepDelay,
    add_delay,
    find_sending_time,
    to_utc,
)

# DST changes of an hour, of half an hour and at midnight, zones far from UTC and without DST, and a skipped day.
ZONES = [
    "Africa/Johannesburg",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Africa/Cairo",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Asia/Kathmandu",
    "America/St_Johns",
    "UTC",
]
JOHANNESBURG, BERLIN = ZoneInfo("Africa/Johannesburg"), ZoneInfo("Europe/Berlin")
AT_ONCE = StepDelay()
EVERY_DAY = frozenset(range(7))
ALWAYS = SendingWindow(time(0), time(23, 59, 59), EVERY_DAY)
INSTANTS = st.datetimes(datetime(2005, 1, 1), datetime(2040, 1, 1)).map(lambda naive: naive.replace(tzinfo=UTC))  # noqa: DTZ001 - made aware at once

zones = st.sampled_from(ZONES).map(ZoneInfo)
delays = st.builds(StepDelay, days=st.integers(0, 60), hours=st.integers(0, 100))
hours = st.integers(0, 22)
windows = st.builds(
    lambda start, length, weekdays: SendingWindow(time(start), time(min(start + length, 23), 59), weekdays),
    hours,
    st.integers(0, 12),
    st.frozensets(st.integers(0, 6), min_size=1),
)
days_off = st.frozensets(st.integers(1, 365), max_size=60)


def some_days(numbers: frozenset[int]) -> Callable[[date], bool]:
    """Return a check for the days whose number within the year is listed."""
    return lambda day: day.timetuple().tm_yday in numbers


def at(text: str, zone: ZoneInfo = JOHANNESBURG) -> datetime:
    """Parse a local time."""
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def compute_time(
    now: datetime,
    window: SendingWindow = ALWAYS,
    zone: ZoneInfo = JOHANNESBURG,
    *,
    previous: datetime | None = None,
    delay: StepDelay = AT_ONCE,
    is_holiday: Callable[[date], bool] = lambda _day: False,
) -> SendingTime:
    """Compute the sending time of a step, by default the first one without a delay."""
    due = NotBefore(Constraint.STEP_DELAY, add_delay(previous or now, delay, zone))
    return find_sending_time(now, [due, SendingHours(zone, window, is_holiday)])


@given(INSTANTS, st.none() | INSTANTS, delays, zones, windows, days_off)
@settings(max_examples=120, deadline=None)
def test_a_sending_time_satisfies_every_rule(
    now: datetime,
    previous: datetime | None,
    delay: StepDelay,
    zone: ZoneInfo,
    window: SendingWindow,
    holidays: frozenset[int],
) -> None:
    """In any zone and year the time is not before now or the delay, within the window, and on a sending day."""
    is_holiday = some_days(holidays)
    result = compute_time(now, window, zone, previous=previous, delay=delay, is_holiday=is_holiday)
    local = result.at.astimezone(zone)
    day = local.date()
    assert result.at.tzinfo is UTC
    assert result.at >= now
    assert result.at >= add_delay(previous or now, delay, zone)
    assert day.weekday() in window.weekdays
    assert not is_holiday(day)
    assert to_utc(day, window.start, zone) <= result.at < to_utc(day, window.end, zone)


@given(INSTANTS, delays, zones, windows, days_off)
@settings(max_examples=80, deadline=None)
def test_the_binding_constraint_is_the_last_that_moved_the_time(
    now: datetime, delay: StepDelay, zone: ZoneInfo, window: SendingWindow, holidays: frozenset[int]
) -> None:
    """The binding constraint is the last one considered; each constraint is listed once, in order of time."""
    result = compute_time(now, window, zone, delay=delay, is_holiday=some_days(holidays))
    if not result.considered:
        assert (result.binding, result.at) == (Constraint.NONE, now)
        return
    assert result.considered[-1] == (result.binding, result.at)
    names = [constraint for constraint, _ in result.considered]
    moments = [moment for _, moment in result.considered]
    assert len(set(names)) == len(names)
    assert moments == sorted(moments)


@given(INSTANTS, st.timedeltas(timedelta(0), timedelta(days=9)), zones, windows, days_off)
@settings(max_examples=80, deadline=None)
def test_a_later_start_never_gives_an_earlier_time(
    now: datetime, later: timedelta, zone: ZoneInfo, window: SendingWindow, holidays: frozenset[int]
) -> None:
    """A later `now` never gives an earlier time, and the sending time as `now` gives itself."""
    result = compute_time(now, window, zone, is_holiday=some_days(holidays))
    assert compute_time(now + later, window, zone, is_holiday=some_days(holidays)).at >= result.at
    again = compute_time(result.at, window, zone, is_holiday=some_days(holidays))
    assert (again.at, again.binding) == (result.at, Constraint.NONE)


@given(INSTANTS, zones, st.integers(1, 60))
@settings(max_examples=80, deadline=None)
def test_days_are_calendar_days_and_hours_are_elapsed_time(start: datetime, zone: ZoneInfo, days: int) -> None:
    """Days keep the local wall-clock time, except in a DST gap; hours are elapsed time."""
    local = start.astimezone(zone)
    shifted = add_delay(start, StepDelay(days=days), zone).astimezone(zone)
    expected = datetime.combine(local.date() + timedelta(days=days), local.time())
    assert timedelta(0) <= shifted.replace(tzinfo=None) - expected <= timedelta(days=1)
    assert add_delay(start, StepDelay(hours=days), zone) - start == timedelta(hours=days)


@pytest.mark.parametrize(
    ("now", "expected", "binding"),
    [
        ("2026-03-04T10:00", "2026-03-04T10:00", Constraint.NONE),
        ("2026-03-04T06:00", "2026-03-04T08:00", Constraint.SENDING_WINDOW),
        ("2026-03-04T08:00", "2026-03-04T08:00", Constraint.NONE),
        ("2026-03-04T17:00", "2026-03-05T08:00", Constraint.SENDING_WINDOW),
        ("2026-03-07T10:00", "2026-03-09T08:00", Constraint.WEEKDAY),
        ("2026-03-06T18:00", "2026-03-09T08:00", Constraint.WEEKDAY),
        ("2026-03-20T18:00", "2026-03-24T08:00", Constraint.PUBLIC_HOLIDAY),
    ],
)
def test_typical_cases(now: str, expected: str, binding: Constraint) -> None:
    """Times within and at the edges of a working day, in the evening, on a weekend and before a holiday."""
    result = compute_time(at(now), SendingWindow(), is_holiday=lambda day: day == date(2026, 3, 23))
    assert (result.at, result.binding) == (at(expected), binding)


def test_a_delay_counts_from_the_previous_step() -> None:
    """A delay of three days and two hours counts from the previous step and is the binding constraint."""
    result = compute_time(at("2026-03-02T09:00"), previous=at("2026-03-02T08:30"), delay=StepDelay(days=3, hours=2))
    assert (result.at, result.binding) == (at("2026-03-05T10:30"), Constraint.STEP_DELAY)


def test_an_overdue_step_is_sent_now() -> None:
    """A delay that ended in the past gives the current time."""
    result = compute_time(at("2026-03-10T09:00"), previous=at("2026-03-02T08:30"), delay=StepDelay(days=1))
    assert (result.at, result.binding) == (at("2026-03-10T09:00"), Constraint.NONE)


def test_a_window_that_starts_in_a_dst_gap_starts_after_it() -> None:
    """In the night when clocks go forward in Berlin, a window from 02:30 starts at 03:30."""
    result = compute_time(at("2026-03-29T00:10", BERLIN), SendingWindow(time(2, 30), time(6), EVERY_DAY), BERLIN)
    assert result.at == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_a_window_that_starts_in_a_dst_fold_starts_at_the_first_time() -> None:
    """In the night when clocks go back in Berlin, a window from 02:30 starts at the first 02:30."""
    result = compute_time(at("2026-10-25T00:10", BERLIN), SendingWindow(time(2, 30), time(6), EVERY_DAY), BERLIN)
    assert result.at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_day_across_a_dst_change_keeps_the_hour() -> None:
    """One day after 09:00 is 09:00 in Berlin, although only 23 hours have passed."""
    start = at("2026-03-28T09:00", BERLIN)
    assert add_delay(start, StepDelay(days=1), BERLIN) - start.astimezone(UTC) == timedelta(hours=23)


def test_a_skipped_date_is_passed_over() -> None:
    """Samoa had no 30 December 2011, so the window after the 29th is on the 31st."""
    apia = ZoneInfo("Pacific/Apia")
    result = compute_time(at("2011-12-29T20:00", apia), SendingWindow(time(8), time(17), EVERY_DAY), apia)
    assert result.at.astimezone(apia).replace(tzinfo=None) == datetime(2011, 12, 31, 8)  # noqa: DTZ001 - a local clock


def test_no_sending_time_is_an_error() -> None:
    """A calendar without a sending day raises an error that names the last constraint."""
    with pytest.raises(NoSendingTime, match="public_holiday"):
        compute_time(at("2026-03-04T10:00"), is_holiday=lambda _day: True)


def test_the_horizon_is_inclusive() -> None:
    """A time exactly 400 days ahead is found; a microsecond later is too far."""
    now = at("2026-03-04T10:00")
    last = now + timedelta(days=400)
    assert find_sending_time(now, [NotBefore(Constraint.PROVIDER, last)]).at == last
    with pytest.raises(NoSendingTime, match="400 days"):
        find_sending_time(now, [NotBefore(Constraint.PROVIDER, last + timedelta(microseconds=1))])


def test_the_default_window_is_office_hours() -> None:
    """Without other hours, mails are sent Monday to Friday from 08:00 until 17:00."""
    assert SendingWindow() == SendingWindow(time(8), time(17), frozenset({0, 1, 2, 3, 4}))

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import NoSendingTime
from domain.schedule import (
    Constraint,
    Hours,
    NotBefore,
    SendingTime,
    SendingWindow,
    StepDelay,
    add_delay,
    sending_time,
    to_utc,
)

# Gaps and folds of an hour, of half an hour, at midnight, far from Greenwich, none at all, and a day that never was.
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
    """Pick the days whose number within the year is listed."""
    return lambda day: day.timetuple().tm_yday in numbers


def at(text: str, zone: ZoneInfo = JOHANNESBURG) -> datetime:
    """Read a local time."""
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def ask(
    now: datetime,
    window: SendingWindow = ALWAYS,
    zone: ZoneInfo = JOHANNESBURG,
    *,
    previous: datetime | None = None,
    delay: StepDelay = AT_ONCE,
    is_holiday: Callable[[date], bool] = lambda _day: False,
) -> SendingTime:
    """Ask for a first step without delay unless told otherwise."""
    due = NotBefore(Constraint.STEP_DELAY, add_delay(previous or now, delay, zone))
    return sending_time(now, [due, Hours(zone, window, is_holiday)])


@given(INSTANTS, st.none() | INSTANTS, delays, zones, windows, days_off)
@settings(max_examples=120, deadline=None)
def test_a_sending_time_keeps_every_rule(
    now: datetime,
    previous: datetime | None,
    delay: StepDelay,
    zone: ZoneInfo,
    window: SendingWindow,
    holidays: frozenset[int],
) -> None:
    """In any zone and year the time is not before now or the delay, within the window, on a free weekday."""
    is_holiday = some_days(holidays)
    found = ask(now, window, zone, previous=previous, delay=delay, is_holiday=is_holiday)
    local = found.at.astimezone(zone)
    day = local.date()
    assert found.at.tzinfo is UTC
    assert found.at >= now
    assert found.at >= add_delay(previous or now, delay, zone)
    assert day.weekday() in window.weekdays
    assert not is_holiday(day)
    assert to_utc(day, window.start, zone) <= found.at < to_utc(day, window.end, zone)


@given(INSTANTS, delays, zones, windows, days_off)
@settings(max_examples=80, deadline=None)
def test_the_binding_constraint_is_the_last_that_moved_the_time(
    now: datetime, delay: StepDelay, zone: ZoneInfo, window: SendingWindow, holidays: frozenset[int]
) -> None:
    """The binding constraint is the last of those considered, each named once, with the time it moved to."""
    found = ask(now, window, zone, delay=delay, is_holiday=some_days(holidays))
    if not found.considered:
        assert (found.binding, found.at) == (Constraint.NONE, now)
        return
    assert found.considered[-1] == (found.binding, found.at)
    names = [constraint for constraint, _ in found.considered]
    moments = [moment for _, moment in found.considered]
    assert len(set(names)) == len(names)
    assert moments == sorted(moments)


@given(INSTANTS, st.timedeltas(timedelta(0), timedelta(days=9)), zones, windows, days_off)
@settings(max_examples=80, deadline=None)
def test_later_asked_is_never_earlier_sent(
    now: datetime, later: timedelta, zone: ZoneInfo, window: SendingWindow, holidays: frozenset[int]
) -> None:
    """Asking later never yields an earlier time, and asking at the answer yields the answer."""
    found = ask(now, window, zone, is_holiday=some_days(holidays))
    assert ask(now + later, window, zone, is_holiday=some_days(holidays)).at >= found.at
    again = ask(found.at, window, zone, is_holiday=some_days(holidays))
    assert (again.at, again.binding) == (found.at, Constraint.NONE)


@given(INSTANTS, zones, st.integers(1, 60))
@settings(max_examples=80, deadline=None)
def test_days_keep_the_clock_and_hours_the_time(start: datetime, zone: ZoneInfo, days: int) -> None:
    """Days land on the wanted local date at the same clock, moved on at most by a gap; hours are elapsed time."""
    local = start.astimezone(zone)
    shifted = add_delay(start, StepDelay(days=days), zone).astimezone(zone)
    wanted = datetime.combine(local.date() + timedelta(days=days), local.time())
    assert timedelta(0) <= shifted.replace(tzinfo=None) - wanted <= timedelta(days=1)
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
def test_plain_cases(now: str, expected: str, binding: Constraint) -> None:
    """A working day, its edges, an evening, a weekend, and a weekend that a holiday makes longer."""
    found = ask(at(now), SendingWindow(), is_holiday=lambda day: day == date(2026, 3, 23))
    assert (found.at, found.binding) == (at(expected), binding)


def test_a_delay_counts_from_the_step_before() -> None:
    """Three days and two hours after the step before, which is what binds when nothing else does."""
    found = ask(at("2026-03-02T09:00"), previous=at("2026-03-02T08:30"), delay=StepDelay(days=3, hours=2))
    assert (found.at, found.binding) == (at("2026-03-05T10:30"), Constraint.STEP_DELAY)


def test_a_step_that_is_overdue_goes_now() -> None:
    """A delay that passed long ago does not send into the past."""
    found = ask(at("2026-03-10T09:00"), previous=at("2026-03-02T08:30"), delay=StepDelay(days=1))
    assert (found.at, found.binding) == (at("2026-03-10T09:00"), Constraint.NONE)


def test_a_window_that_opens_in_a_gap_opens_after_it() -> None:
    """On the night clocks go forward in Berlin, 02:30 does not exist; the window opens when 03:30 shows."""
    found = ask(at("2026-03-29T00:10", BERLIN), SendingWindow(time(2, 30), time(6), EVERY_DAY), BERLIN)
    assert found.at == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_a_window_that_opens_in_a_fold_opens_the_first_time() -> None:
    """On the night clocks go back in Berlin, 02:30 comes twice; the first one opens the window."""
    found = ask(at("2026-10-25T00:10", BERLIN), SendingWindow(time(2, 30), time(6), EVERY_DAY), BERLIN)
    assert found.at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_day_across_the_change_of_clocks_keeps_the_hour() -> None:
    """One day after 09:00 is 09:00 in Berlin, though only 23 hours passed."""
    start = at("2026-03-28T09:00", BERLIN)
    assert add_delay(start, StepDelay(days=1), BERLIN) - start.astimezone(UTC) == timedelta(hours=23)


def test_a_day_that_never_was_is_stepped_over() -> None:
    """Samoa had no 30 December 2011: a window of that day lies in the next."""
    apia = ZoneInfo("Pacific/Apia")
    found = ask(at("2011-12-29T20:00", apia), SendingWindow(time(8), time(17), EVERY_DAY), apia)
    assert found.at.astimezone(apia).replace(tzinfo=None) == datetime(2011, 12, 31, 8)  # noqa: DTZ001 - a local clock


def test_when_nothing_fits_it_says_so() -> None:
    """A calendar without a free day ends in an error that names the last obstacle, not in an endless search."""
    with pytest.raises(NoSendingTime, match="public_holiday"):
        ask(at("2026-03-04T10:00"), is_holiday=lambda _day: True)


def test_the_horizon_itself_is_looked_at() -> None:
    """A time just 400 days ahead is a sending time, and one a microsecond later is too far."""
    now = at("2026-03-04T10:00")
    last = now + timedelta(days=400)
    assert sending_time(now, [NotBefore(Constraint.PROVIDER, last)]).at == last
    with pytest.raises(NoSendingTime, match="400 days"):
        sending_time(now, [NotBefore(Constraint.PROVIDER, last + timedelta(microseconds=1))])

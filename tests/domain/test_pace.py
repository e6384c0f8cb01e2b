from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.pace import DailyCap, Pace, Ramp, Rate, Turns
from domain.schedule import Constraint, Hours, Rule, SendingWindow, sending_time

ZONES = sorted(available_timezones())
START, END = datetime(2016, 1, 1), datetime(2026, 1, 1)  # noqa: DTZ001 - made aware at once
"""Ten years of changes of clocks, in every zone there is."""
UTC_ZONE, JOHANNESBURG = ZoneInfo("UTC"), ZoneInfo("Africa/Johannesburg")
MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
DOMAINS = ("a.example", "b.example")

Taken = list[tuple[datetime, str]]

instants = st.datetimes(START, END).map(lambda naive: naive.replace(tzinfo=UTC, second=0, microsecond=0))
zones = st.sampled_from(ZONES).map(ZoneInfo)
windows = st.builds(
    lambda start, length, days: SendingWindow(time(start), time(min(start + length, 23), 30), days),
    st.integers(0, 22),
    st.integers(0, 9),
    st.frozensets(st.integers(0, 6), min_size=1),
)


@st.composite
def paces(draw: st.DrawFn) -> Pace:
    """Invent a workspace's limits, each of them there or not, such that whole minutes are all that matters."""
    cap = None
    if draw(st.booleans()):
        begins = draw(st.dates(START.date(), END.date()))
        ramp = draw(st.none() | st.builds(Ramp, st.just(begins), st.integers(1, 3), st.integers(1, 2)))
        cap = DailyCap(draw(st.integers(1, 6)), ramp, lambda day: day.weekday() < 5)
    rate = draw(st.none() | st.just(Rate(1)))
    gap = draw(st.none() | st.integers(1, 90).map(lambda minutes: minutes * MINUTE))
    return Pace(draw(zones), cap, rate, gap)


def turns_of(pace: Pace, taken: Taken) -> Turns:
    """Return turns of which some are taken."""
    turns = Turns(pace)
    for moment, domain in taken:
        turns.take(moment, domain)
    return turns


def is_free(pace: Pace, taken: Taken, moment: datetime, domain: str) -> bool:
    """Say by the meaning of each limit alone whether one mail more may leave at a whole minute."""
    if pace.cap is not None:
        today = pace.day(moment)
        if sum(pace.day(at) == today for at, _ in taken) >= pace.cap.on(today):
            return False
    if pace.rate is not None and any(at == moment for at, _ in taken):
        return False
    return pace.gap is None or all(abs(at - moment) >= pace.gap for at, to in taken if to == domain)


@given(paces(), zones, windows, instants, st.lists(st.sampled_from(DOMAINS), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_each_mail_takes_the_first_free_minute(
    pace: Pace, zone: ZoneInfo, window: SendingWindow, now: datetime, domains: list[str]
) -> None:
    """Mails planned one after the other leave when a search minute by minute says, in any zones and limits at once."""
    hours, taken = Hours(zone, window), Taken()
    turns = turns_of(pace, taken)
    for domain in domains:
        found = sending_time(now, [hours, *turns.rules(domain)]).at
        slow = now
        while hours.hold(slow) is not None or not is_free(pace, taken, slow, domain):
            # Over the hours in one stride, else each example would look at thousands of nights.
            slow = held[1] if (held := hours.hold(slow)) is not None else slow + MINUTE
            assert slow <= found, "it waits longer than it must"
        assert found == slow
        turns.take(found, domain)
        taken.append((found, domain))


@given(paces(), instants, st.lists(st.tuples(st.integers(0, 3000), st.sampled_from(DOMAINS)), max_size=30))
@settings(max_examples=60, deadline=None)
def test_a_turn_given_back_was_never_taken(pace: Pace, now: datetime, minutes: list[tuple[int, str]]) -> None:
    """Taking turns and giving them back leaves what others are told as it was."""
    turns = turns_of(pace, [])
    asked = [now + MINUTE * (number % 97) for number, _ in minutes] or [now]
    before = [sending_time(moment, turns.rules(DOMAINS[0])) for moment in asked]
    for number in (1, -1):
        for minute, domain in minutes:
            turns.take(now + MINUTE * minute, domain, number)
    assert [sending_time(moment, turns.rules(DOMAINS[0])) for moment in asked] == before


@given(st.integers(1, 6000), instants, st.integers(1, 3), st.integers(0, 60_000_000))
@settings(max_examples=60, deadline=None)
def test_a_rate_is_kept_in_every_minute(per_minute: int, now: datetime, minutes: int, offset: int) -> None:
    """Of a crowd that wants to leave at once, no minute sees more than its number and the few of two stretches."""
    rate = Rate(per_minute)
    turns = turns_of(Pace(UTC_ZONE, rate=rate), [])
    start = now + timedelta(microseconds=offset)
    left = []
    for _ in range(min(per_minute * minutes + 1, 2000)):
        at = sending_time(start, turns.rules("a.example")).at
        turns.take(at, "a.example")
        left.append(at)
    assert left == sorted(left)
    most = max(sum(at <= other < at + MINUTE for other in left) for at in left[:: max(1, len(left) // 50)])
    assert most <= per_minute + 2 * rate.each
    assert left[-1] - start <= MINUTE * (len(left) / per_minute) + timedelta(seconds=61)


@given(st.integers(1, 60_000), st.integers(0, 10**15))
@settings(max_examples=200, deadline=None)
def test_a_stretch_begins_in_itself(per_minute: int, stretch: int) -> None:
    """The moment at which a stretch begins lies in it, and the microsecond before does not."""
    rate = Rate(per_minute)
    stretch %= rate.stretch(datetime(2100, 1, 1, tzinfo=UTC))
    begins = rate.begins(stretch)
    assert rate.stretch(begins) == stretch
    assert stretch == 0 or rate.stretch(begins - timedelta(microseconds=1)) == stretch - 1


def test_a_stretch_takes_one_mail_up_to_one_a_second() -> None:
    """Up to 60 mails a minute each has a stretch to itself; with each 60 more a stretch takes one more."""
    assert [Rate(number).each for number in (1, 59, 60, 61, 120, 121)] == [1, 1, 1, 2, 2, 3]


def test_every_later_turn_is_looked_at() -> None:
    """Behind a turn that is too close the next one is looked at as well, also when it is the last."""
    taken = [(NOON, "a.example"), (NOON + 90 * MINUTE, "a.example")]
    turns = turns_of(Pace(UTC_ZONE, gap=timedelta(hours=1)), taken)
    assert sending_time(NOON - 10 * MINUTE, turns.rules("a.example")).at == NOON + 150 * MINUTE


def test_stretches_are_counted_from_1970() -> None:
    """The first stretch begins with the year 1970: a number means the same moment in every process."""
    first = datetime(1970, 1, 1, tzinfo=UTC)
    assert [Rate(1).stretch(first + number * MINUTE) for number in range(3)] == [0, 1, 2]
    assert Rate(90).begins(1) == first + timedelta(microseconds=1_333_334)


def test_a_ramp_rises_on_sending_days_up_to_the_cap() -> None:
    """Twenty on the first day, ten more on each working day after it, not on the weekend, at last the cap."""
    cap = DailyCap(55, Ramp(date(2026, 3, 5), 20, 10), lambda day: day.weekday() < 5)
    days = [date(2026, 3, 1), *(date(2026, 3, 5) + timedelta(days=number) for number in range(7))]
    assert [cap.on(day) for day in days] == [20, 20, 30, 40, 40, 40, 50, 55]


@pytest.mark.parametrize(
    ("pace", "constraint", "at"),
    [
        (Pace(UTC_ZONE, cap=DailyCap(1, None, lambda _day: True)), Constraint.DAILY_CAP, "2026-03-05T08:00"),
        (Pace(UTC_ZONE, rate=Rate(6)), Constraint.SENDING_RATE, "2026-03-04T12:00:10"),
        (Pace(UTC_ZONE, gap=timedelta(minutes=5)), Constraint.DOMAIN_GAP, "2026-03-04T12:05"),
    ],
)
def test_the_limit_that_holds_is_named(pace: Pace, constraint: Constraint, at: str) -> None:
    """A full day holds until the next opens, a rate until the next stretch, a gap until it has passed."""
    rules: list[Rule] = [Hours(UTC_ZONE, SendingWindow()), *turns_of(pace, [(NOON, "a.example")]).rules("a.example")]
    found = sending_time(NOON, rules)
    assert (found.binding, found.at.replace(tzinfo=None)) == (constraint, datetime.fromisoformat(at))


def test_turns_begin_with_what_they_are_told() -> None:
    """Turns told as counts and moments hold back as those that were taken one by one."""
    pace = Pace(UTC_ZONE, DailyCap(3, None, lambda _day: True), Rate(2), timedelta(minutes=5))
    taken = [(NOON + MINUTE * number, "a.example") for number in (7, 0, 1)]
    days = {NOON.date(): 3}
    stretches = {Rate(2).stretch(moment): 1 for moment, _ in taken}
    for told, limit in ((days, "cap"), (stretches, "rate"), (taken, "gap")):
        alone = Pace(UTC_ZONE, **{limit: getattr(pace, limit)})
        one_by_one = turns_of(alone, taken)
        at_once = Turns(alone, days, stretches, taken)
        assert told
        for asked in (NOON - MINUTE, NOON, NOON + 4 * MINUTE):
            expected = sending_time(asked, one_by_one.rules("a.example"))
            assert sending_time(asked, at_once.rules("a.example")) == expected


def test_any_limit_makes_a_pace_limited() -> None:
    """A pace with a cap, a rate or a gap is limited, also by one of them alone; without any it is not."""
    cap, rate = DailyCap(1, None, lambda _day: True), Rate(1)
    assert not Pace(UTC_ZONE).is_limited
    for pace in (Pace(UTC_ZONE, cap=cap), Pace(UTC_ZONE, rate=rate), Pace(UTC_ZONE, gap=MINUTE)):
        assert pace.is_limited
    assert Pace(UTC_ZONE, cap, rate, MINUTE).is_limited


def test_a_stretch_given_back_is_free_at_once() -> None:
    """Behind three full minutes the fourth is next; once the second is given back it is the second."""
    turns = turns_of(Pace(UTC_ZONE, rate=Rate(1)), [(NOON + MINUTE * number, "a.example") for number in range(3)])
    assert sending_time(NOON, turns.rules("a.example")).at == NOON + 3 * MINUTE
    turns.take(NOON + MINUTE, "a.example", -1)
    assert sending_time(NOON, turns.rules("a.example")).at == NOON + MINUTE


def test_another_domain_does_not_wait_for_a_gap() -> None:
    """The gap is between mails to one domain; another is free."""
    turns = turns_of(Pace(JOHANNESBURG, gap=timedelta(hours=1)), [(NOON, "a.example")])
    assert sending_time(NOON, turns.rules("b.example")).at == NOON


def test_a_mail_fits_between_two_kept_turns_where_there_is_room() -> None:
    """A gap of an hour leaves room between turns two hours apart, and none where they are closer."""
    taken = [(NOON, "a.example"), (NOON + timedelta(hours=2), "a.example"), (NOON + timedelta(hours=3), "a.example")]
    turns = turns_of(Pace(UTC_ZONE, gap=timedelta(hours=1)), taken)
    assert sending_time(NOON, turns.rules("a.example")).at == NOON + timedelta(hours=1)
    turns.take(NOON + timedelta(hours=1), "a.example")
    assert sending_time(NOON, turns.rules("a.example")).at == NOON + timedelta(hours=4)

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.schedule import Constraint, Rule, SendingHours, SendingWindow, find_sending_time
from domain.send_limits import DailyCap, Ramp, RateLimit, SendLimits, SlotUsage
from domain.timezones import list_timezones

ZONES = sorted(list_timezones())
START, END = datetime(2016, 1, 1), datetime(2026, 1, 1)  # noqa: DTZ001 - made aware at once
"""Ten years of DST changes, used with every time zone."""
UTC_ZONE, JOHANNESBURG = ZoneInfo("UTC"), ZoneInfo("Africa/Johannesburg")
MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
DOMAINS = ("a.example", "b.example")

Slots = list[tuple[datetime, str]]

instants = st.datetimes(START, END).map(lambda naive: naive.replace(tzinfo=UTC, second=0, microsecond=0))
zones = st.sampled_from(ZONES).map(ZoneInfo)
windows = st.builds(
    lambda start, length, days: SendingWindow(time(start), time(min(start + length, 23), 30), days),
    st.integers(0, 22),
    st.integers(0, 9),
    st.frozensets(st.integers(0, 6), min_size=1),
)


@st.composite
def any_limits(draw: st.DrawFn) -> SendLimits:
    """Generate the limits of a workspace; with these limits slots are always at whole minutes."""
    cap = None
    if draw(st.booleans()):
        start = draw(st.dates(START.date(), END.date()))
        ramp = draw(st.none() | st.builds(Ramp, st.just(start), st.integers(1, 3), st.integers(1, 2)))
        cap = DailyCap(draw(st.integers(1, 6)), ramp, lambda day: day.weekday() < 5)
    rate = draw(st.none() | st.just(RateLimit(1)))
    gap = draw(st.none() | st.integers(1, 90).map(lambda minutes: minutes * MINUTE))
    return SendLimits(draw(zones), cap, rate, gap)


def build_usage(limits: SendLimits, taken: Slots) -> SlotUsage:
    """Return the usage with these slots taken."""
    usage = SlotUsage(limits)
    for moment, domain in taken:
        usage.add(moment, domain)
    return usage


def is_free(limits: SendLimits, taken: Slots, moment: datetime, domain: str) -> bool:
    """Return whether one more mail may be sent at a whole minute, computed from the definition of each limit."""
    if limits.cap is not None:
        today = limits.local_date(moment)
        if sum(limits.local_date(at) == today for at, _ in taken) >= limits.cap.get_limit(today):
            return False
    if limits.rate is not None and any(at == moment for at, _ in taken):
        return False
    return limits.gap is None or all(abs(at - moment) >= limits.gap for at, to in taken if to == domain)


@given(any_limits(), zones, windows, instants, st.lists(st.sampled_from(DOMAINS), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_each_mail_takes_the_first_free_minute(
    limits: SendLimits, zone: ZoneInfo, window: SendingWindow, now: datetime, domains: list[str]
) -> None:
    """Each mail gets the time that a search minute by minute finds, with any zones and any combination of limits."""
    hours, taken = SendingHours(zone, window), Slots()
    usage = build_usage(limits, taken)
    for domain in domains:
        at = find_sending_time(now, [hours, *usage.get_rules(domain)]).at
        expected = now
        while hours.check(expected) is not None or not is_free(limits, taken, expected, domain):
            # Skip to the next sending hours in one step, because the minutes of thousands of nights take too long.
            expected = deferral[1] if (deferral := hours.check(expected)) is not None else expected + MINUTE
            assert expected <= at, "an earlier minute was free"
        assert at == expected
        usage.add(at, domain)
        taken.append((at, domain))


@given(any_limits(), instants, st.lists(st.tuples(st.integers(0, 3000), st.sampled_from(DOMAINS)), max_size=30))
@settings(max_examples=60, deadline=None)
def test_a_released_slot_leaves_no_trace(limits: SendLimits, now: datetime, minutes: list[tuple[int, str]]) -> None:
    """Slots that are taken and released do not change any later sending time."""
    usage = build_usage(limits, [])
    starts = [now + MINUTE * (number % 97) for number, _ in minutes] or [now]
    before = [find_sending_time(start, usage.get_rules(DOMAINS[0])) for start in starts]
    for count in (1, -1):
        for minute, domain in minutes:
            usage.add(now + MINUTE * minute, domain, count)
    assert [find_sending_time(start, usage.get_rules(DOMAINS[0])) for start in starts] == before


@given(st.integers(1, 6000), instants, st.integers(1, 3), st.integers(0, 60_000_000))
@settings(max_examples=60, deadline=None)
def test_no_minute_exceeds_the_rate(per_minute: int, now: datetime, minutes: int, offset: int) -> None:
    """When many mails are due at once, no minute has more than its number of mails and those of two windows."""
    rate = RateLimit(per_minute)
    usage = build_usage(SendLimits(UTC_ZONE, rate=rate), [])
    start = now + timedelta(microseconds=offset)
    sent = []
    for _ in range(min(per_minute * minutes + 1, 2000)):
        at = find_sending_time(start, usage.get_rules("a.example")).at
        usage.add(at, "a.example")
        sent.append(at)
    assert sent == sorted(sent)
    busiest = max(sum(at <= other < at + MINUTE for other in sent) for at in sent[:: max(1, len(sent) // 50)])
    assert busiest <= per_minute + 2 * rate.window_capacity
    assert sent[-1] - start <= MINUTE * (len(sent) / per_minute) + timedelta(seconds=61)


@given(st.integers(1, 60_000), st.integers(0, 10**15))
@settings(max_examples=200, deadline=None)
def test_the_start_of_a_window_is_its_first_microsecond(per_minute: int, window: int) -> None:
    """The start of a window is in the window, and the microsecond before is in the previous one."""
    rate = RateLimit(per_minute)
    window %= rate.window_at(datetime(2100, 1, 1, tzinfo=UTC))
    start = rate.window_start(window)
    assert rate.window_at(start) == window
    assert window == 0 or rate.window_at(start - timedelta(microseconds=1)) == window - 1


def test_a_window_holds_one_mail_up_to_one_a_second() -> None:
    """Up to 60 mails a minute a window holds one mail; each further 60 mails a minute add one."""
    assert [RateLimit(number).window_capacity for number in (1, 59, 60, 61, 120, 121)] == [1, 1, 1, 2, 2, 3]


def test_the_gap_is_checked_against_every_later_slot() -> None:
    """After a slot that is too close the next one is checked as well, including the last."""
    taken = [(NOON, "a.example"), (NOON + 90 * MINUTE, "a.example")]
    usage = build_usage(SendLimits(UTC_ZONE, gap=timedelta(hours=1)), taken)
    assert find_sending_time(NOON - 10 * MINUTE, usage.get_rules("a.example")).at == NOON + 150 * MINUTE


def test_windows_are_counted_from_1970() -> None:
    """Window 0 starts with the year 1970, so that a number means the same window in every process."""
    first = datetime(1970, 1, 1, tzinfo=UTC)
    assert [RateLimit(1).window_at(first + number * MINUTE) for number in range(3)] == [0, 1, 2]
    assert RateLimit(90).window_start(1) == first + timedelta(microseconds=1_333_334)


def test_a_ramp_rises_on_sending_days_up_to_the_cap() -> None:
    """The limit is 20 on the first day, grows by 10 after each working day, and stops at the cap."""
    cap = DailyCap(55, Ramp(date(2026, 3, 5), 20, 10), lambda day: day.weekday() < 5)
    days = [date(2026, 3, 1), *(date(2026, 3, 5) + timedelta(days=number) for number in range(7))]
    assert [cap.get_limit(day) for day in days] == [20, 20, 30, 40, 40, 40, 50, 55]


@pytest.mark.parametrize(
    ("limits", "constraint", "at"),
    [
        (SendLimits(UTC_ZONE, cap=DailyCap(1, None, lambda _day: True)), Constraint.DAILY_CAP, "2026-03-05T08:00"),
        (SendLimits(UTC_ZONE, rate=RateLimit(6)), Constraint.SENDING_RATE, "2026-03-04T12:00:10"),
        (SendLimits(UTC_ZONE, gap=timedelta(minutes=5)), Constraint.DOMAIN_GAP, "2026-03-04T12:05"),
    ],
)
def test_the_binding_limit_is_named(limits: SendLimits, constraint: Constraint, at: str) -> None:
    """A daily cap defers to the next window, a rate limit to the next rate window, a gap to its end."""
    rules: list[Rule] = [
        SendingHours(UTC_ZONE, SendingWindow()),
        *build_usage(limits, [(NOON, "a.example")]).get_rules("a.example"),
    ]
    result = find_sending_time(NOON, rules)
    assert (result.binding, result.at.replace(tzinfo=None)) == (constraint, datetime.fromisoformat(at))


def test_initial_counts_equal_added_slots() -> None:
    """Slots given as counts and moments defer mails like slots that were added one by one."""
    limits = SendLimits(UTC_ZONE, DailyCap(3, None, lambda _day: True), RateLimit(2), timedelta(minutes=5))
    taken = [(NOON + MINUTE * number, "a.example") for number in (7, 0, 1)]
    days = {NOON.date(): 3}
    windows = {RateLimit(2).window_at(moment): 1 for moment, _ in taken}
    for limit in ("cap", "rate", "gap"):
        single_limit = SendLimits(UTC_ZONE, **{limit: getattr(limits, limit)})
        added = build_usage(single_limit, taken)
        initial = SlotUsage(single_limit, days, windows, taken)
        for start in (NOON - MINUTE, NOON, NOON + 4 * MINUTE):
            expected = find_sending_time(start, added.get_rules("a.example"))
            assert find_sending_time(start, initial.get_rules("a.example")) == expected


def test_limits_with_any_limit_are_limited() -> None:
    """`is_limited` is true with a cap, a rate or a gap, and false without any of them."""
    cap, rate = DailyCap(1, None, lambda _day: True), RateLimit(1)
    assert not SendLimits(UTC_ZONE).is_limited
    for limits in (SendLimits(UTC_ZONE, cap=cap), SendLimits(UTC_ZONE, rate=rate), SendLimits(UTC_ZONE, gap=MINUTE)):
        assert limits.is_limited
    assert SendLimits(UTC_ZONE, cap, rate, MINUTE).is_limited


def test_a_released_window_is_free_at_once() -> None:
    """After three full minutes the fourth is next; when the second is released, the second is next."""
    usage = build_usage(
        SendLimits(UTC_ZONE, rate=RateLimit(1)), [(NOON + MINUTE * number, "a.example") for number in range(3)]
    )
    assert find_sending_time(NOON, usage.get_rules("a.example")).at == NOON + 3 * MINUTE
    usage.add(NOON + MINUTE, "a.example", -1)
    assert find_sending_time(NOON, usage.get_rules("a.example")).at == NOON + MINUTE


def test_another_domain_does_not_wait_for_a_gap() -> None:
    """The gap applies to mails to one domain and not to another domain."""
    usage = build_usage(SendLimits(JOHANNESBURG, gap=timedelta(hours=1)), [(NOON, "a.example")])
    assert find_sending_time(NOON, usage.get_rules("b.example")).at == NOON


def test_a_mail_fits_between_two_slots_that_are_far_enough_apart() -> None:
    """With a gap of an hour a mail fits between slots two hours apart, and not between closer ones."""
    taken = [(NOON, "a.example"), (NOON + timedelta(hours=2), "a.example"), (NOON + timedelta(hours=3), "a.example")]
    usage = build_usage(SendLimits(UTC_ZONE, gap=timedelta(hours=1)), taken)
    assert find_sending_time(NOON, usage.get_rules("a.example")).at == NOON + timedelta(hours=1)
    usage.add(NOON + timedelta(hours=1), "a.example")
    assert find_sending_time(NOON, usage.get_rules("a.example")).at == NOON + timedelta(hours=4)


def test_a_gap_moves_a_mail_past_one_slot_after_another() -> None:
    """Each slot within the gap moves the mail once more, also one that only the slot before brings within the gap."""
    taken = [(NOON + timedelta(seconds=seconds), "a.example") for seconds in (50, 115, 230)]
    rules = build_usage(SendLimits(UTC_ZONE, gap=MINUTE), taken).get_rules("a.example")
    assert find_sending_time(NOON, rules).at == NOON + timedelta(seconds=290)

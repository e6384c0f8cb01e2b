from datetime import UTC, datetime, timedelta
from itertools import accumulate, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.breaker import (
    LONGEST_ASKED,
    LONGEST_WAIT,
    OPENS_AFTER,
    PROBE_HOLD,
    QUOTA_WAIT,
    Everything,
    Kind,
    News,
    Nothing,
    OneProbe,
    State,
    admits,
    after,
    wait,
)

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def admitted(state: State, now: datetime = NOW) -> Everything | OneProbe | Nothing:
    """Ask how many calls a state lets through."""
    return admits(state.failures, state.blocked_until, now)


def told(state: State, kind: Kind, now: datetime = NOW, retry_after: float | None = None) -> State:
    """Tell the end of a call that was let through in this very state."""
    return after(state, News(kind, state.blocked_until, retry_after), now)


def opened() -> State:
    """Return the state after as many failures as open it."""
    return list(accumulate(repeat(Kind.FAILED, OPENS_AFTER), told, initial=State()))[-1]


def test_a_few_failures_open_it_and_no_fewer() -> None:
    """The last of `OPENS_AFTER` failures in a row blocks; the one before it still lets everything through."""
    states = list(accumulate(repeat(Kind.FAILED, OPENS_AFTER), told, initial=State()))
    assert all(admitted(state) == Everything() for state in states[:-1])
    assert isinstance(admitted(states[-1]), Nothing)


def test_as_many_failures_without_a_block_admit_a_probe() -> None:
    """With as many failures as open it and no block yet one call goes through at a time, with one fewer all do."""
    assert admits(OPENS_AFTER - 1, None, NOW) == Everything()
    assert admits(OPENS_AFTER, None, NOW) == OneProbe(NOW + PROBE_HOLD)


def test_a_success_between_starts_the_count_anew() -> None:
    """Failures count only in a row."""
    almost = State(OPENS_AFTER - 1)
    assert told(told(almost, Kind.SERVED), Kind.FAILED) == State(1)


def test_one_probe_at_a_time() -> None:
    """After the wait one call goes through; once its hold is written nothing does, until the hold ends."""
    blocked = opened()
    assert blocked.blocked_until is not None
    hold = blocked.blocked_until + PROBE_HOLD
    assert admitted(blocked, blocked.blocked_until) == OneProbe(hold)
    held = State(blocked.failures, hold)
    assert admitted(held, hold - SECOND) == Nothing(hold)
    assert isinstance(admitted(held, hold), OneProbe)


def test_a_probe_decides() -> None:
    """Served, everything goes again; failed, the wait is longer than before, up to some minutes."""
    state, waits = opened(), list[timedelta]()
    for _ in range(12):
        assert state.blocked_until is not None
        at = state.blocked_until
        held = State(state.failures, at + PROBE_HOLD)
        assert told(held, Kind.SERVED, at) == State()
        state = told(held, Kind.FAILED, at)
        assert state.blocked_until is not None
        waits.append(state.blocked_until - at)
    assert waits == sorted(waits)
    assert waits[0] > wait(1)
    assert waits[-1] == LONGEST_WAIT


def test_a_probe_that_was_not_made_gives_its_place_back() -> None:
    """The next call may probe at once; without a probe there is nothing to give back."""
    held = State(OPENS_AFTER, NOW + PROBE_HOLD)
    assert isinstance(admitted(told(held, Kind.NOT_MADE)), OneProbe)
    assert told(State(2), Kind.NOT_MADE) == State(2)


def test_the_provider_is_asked_again_when_it_said() -> None:
    """Retry-After holds; without one the wait grows, and a quota is asked about hourly."""
    assert told(State(), Kind.LIMITED, retry_after=42).blocked_until == NOW + 42 * SECOND
    first, third = told(State(), Kind.LIMITED), told(State(OPENS_AFTER + 1), Kind.LIMITED)
    assert (first.blocked_until, third.blocked_until) == (NOW + wait(1), NOW + wait(3))
    assert wait(3) > wait(1)


@pytest.mark.parametrize("first", [Kind.FAILED, Kind.LIMITED])
@pytest.mark.parametrize("probe", [Kind.FAILED, Kind.LIMITED])
@pytest.mark.parametrize("failures", range(OPENS_AFTER))
def test_a_failed_probe_doubles_the_wait_whatever_began_the_block(failures: int, first: Kind, probe: Kind) -> None:
    """A block lasts 5 seconds first, and 10 after a probe that was not served, for refusals and failures alike."""
    blocked = told(State(OPENS_AFTER - 1 if first is Kind.FAILED else failures), first)
    assert blocked.blocked_until == NOW + 5 * SECOND
    assert told(blocked, probe).blocked_until == NOW + 10 * SECOND
    assert told(State(), Kind.USED_UP).blocked_until == NOW + QUOTA_WAIT
    assert told(State(), Kind.USED_UP, retry_after=60).blocked_until == NOW + 60 * SECOND


def test_many_that_were_under_way_count_once() -> None:
    """Thirty-two calls made together and turned away are one turning away."""
    for retry_after in (None, 60):
        first = state = after(State(), News(Kind.LIMITED, None, retry_after), NOW)
        for number in range(31):
            state = after(state, News(Kind.LIMITED, None, retry_after), NOW + number * SECOND / 10)
        assert state == first


def test_late_news_changes_nothing() -> None:
    """What began before the block neither closes nor lengthens it; a wait the provider named is heard all the same."""
    blocked = opened()
    for kind in Kind:
        assert after(blocked, News(kind, None), NOW) == blocked
        assert after(State(), News(kind, NOW), NOW) == State()
    assert after(blocked, News(Kind.LIMITED, None, 3600), NOW).blocked_until == NOW + 3600 * SECOND
    assert after(blocked, News(Kind.LIMITED, None, 1), NOW) == blocked


def test_a_late_wait_counts_from_more_than_five_seconds_on() -> None:
    """A late wait that ends more than five seconds behind the block moves its end; one of just five does not."""
    blocked = State(OPENS_AFTER, NOW + 60 * SECOND)
    assert after(blocked, News(Kind.LIMITED, None, 65), NOW) == blocked
    assert after(blocked, News(Kind.LIMITED, None, 66), NOW) == State(OPENS_AFTER, NOW + 66 * SECOND)


@given(
    st.integers(0, 10**9),
    st.none() | st.timedeltas(-timedelta(days=9), timedelta(days=9)),
    st.sampled_from(Kind),
    st.booleans(),
    st.none() | st.floats(0, allow_infinity=False, allow_nan=False),
)
def test_no_wait_is_for_ever(
    failures: int, block: timedelta | None, kind: Kind, is_late: bool, retry_after: float | None
) -> None:
    """From any state, after any news, it is known when a call is let through, and it is never later than a day on."""
    state = State(failures, None if block is None else NOW + block)
    seen = NOW + timedelta(days=99) if is_late else state.blocked_until
    verdict = admitted(after(state, News(kind, seen, retry_after), NOW))
    if isinstance(verdict, Nothing):
        longest = max(NOW + LONGEST_ASKED, state.blocked_until or NOW)
        assert NOW < verdict.until <= longest
        assert isinstance(admits(failures, verdict.until, verdict.until), OneProbe)

from datetime import UTC, datetime, timedelta
from itertools import accumulate, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.breaker import (
    FAILURE_THRESHOLD,
    MAX_BACKOFF,
    MAX_RETRY_AFTER,
    PROBE_LEASE,
    QUOTA_BACKOFF,
    Admission,
    AllCalls,
    BreakerState,
    CallResult,
    NoCalls,
    ResultKind,
    SingleProbe,
    apply_result,
    compute_backoff,
    decide_admission,
)

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def admission(state: BreakerState, now: datetime = NOW) -> Admission:
    """Return how many calls a state admits."""
    return decide_admission(state.failures, state.blocked_until, now)


def end_call(
    state: BreakerState, kind: ResultKind, now: datetime = NOW, retry_after: float | None = None
) -> BreakerState:
    """Return the state after the end of a call that was admitted in `state`."""
    return apply_result(state, CallResult(kind, state.blocked_until, retry_after), now)


def open_breaker() -> BreakerState:
    """Return the state after FAILURE_THRESHOLD failures."""
    return list(accumulate(repeat(ResultKind.FAILED, FAILURE_THRESHOLD), end_call, initial=BreakerState()))[-1]


def test_the_threshold_of_failures_opens_the_breaker() -> None:
    """Consecutive failures block calls from FAILURE_THRESHOLD on; fewer failures admit every call."""
    states = list(accumulate(repeat(ResultKind.FAILED, FAILURE_THRESHOLD), end_call, initial=BreakerState()))
    assert all(admission(state) == AllCalls() for state in states[:-1])
    assert isinstance(admission(states[-1]), NoCalls)


def test_the_threshold_without_a_block_admits_one_probe() -> None:
    """With FAILURE_THRESHOLD failures and no block one probe is admitted; with one failure less all calls are."""
    assert decide_admission(FAILURE_THRESHOLD - 1, None, NOW) == AllCalls()
    assert decide_admission(FAILURE_THRESHOLD, None, NOW) == SingleProbe(NOW + PROBE_LEASE)


def test_a_success_resets_the_failure_count() -> None:
    """Only consecutive failures count."""
    almost = BreakerState(FAILURE_THRESHOLD - 1)
    assert end_call(end_call(almost, ResultKind.SERVED), ResultKind.FAILED) == BreakerState(1)


def test_one_probe_at_a_time() -> None:
    """After the backoff one probe is admitted; while its lease runs no other call is, and then another probe is."""
    blocked = open_breaker()
    assert blocked.blocked_until is not None
    lease_end = blocked.blocked_until + PROBE_LEASE
    assert admission(blocked, blocked.blocked_until) == SingleProbe(lease_end)
    probing = BreakerState(blocked.failures, lease_end)
    assert admission(probing, lease_end - SECOND) == NoCalls(lease_end)
    assert isinstance(admission(probing, lease_end), SingleProbe)


def test_a_probe_closes_the_breaker_or_lengthens_the_backoff() -> None:
    """A probe that is served closes the breaker; one that fails lengthens the backoff, up to MAX_BACKOFF."""
    state, waits = open_breaker(), list[timedelta]()
    for _ in range(12):
        assert state.blocked_until is not None
        at = state.blocked_until
        probing = BreakerState(state.failures, at + PROBE_LEASE)
        assert end_call(probing, ResultKind.SERVED, at) == BreakerState()
        state = end_call(probing, ResultKind.FAILED, at)
        assert state.blocked_until is not None
        waits.append(state.blocked_until - at)
    assert waits == sorted(waits)
    assert waits[0] > compute_backoff(1)
    assert waits[-1] == MAX_BACKOFF


def test_a_probe_that_was_not_made_releases_its_lease() -> None:
    """The next call may probe at once; a call that was not made without a block changes nothing."""
    probing = BreakerState(FAILURE_THRESHOLD, NOW + PROBE_LEASE)
    assert isinstance(admission(end_call(probing, ResultKind.NOT_MADE)), SingleProbe)
    assert end_call(BreakerState(2), ResultKind.NOT_MADE) == BreakerState(2)


def test_retry_after_sets_the_block() -> None:
    """A rate limit blocks for the Retry-After seconds; without one the block lasts the backoff, which grows."""
    assert end_call(BreakerState(), ResultKind.RATE_LIMITED, retry_after=42).blocked_until == NOW + 42 * SECOND
    first, third = (
        end_call(BreakerState(), ResultKind.RATE_LIMITED),
        end_call(BreakerState(FAILURE_THRESHOLD + 1), ResultKind.RATE_LIMITED),
    )
    assert (first.blocked_until, third.blocked_until) == (NOW + compute_backoff(1), NOW + compute_backoff(3))
    assert compute_backoff(3) > compute_backoff(1)


@pytest.mark.parametrize("first", [ResultKind.FAILED, ResultKind.RATE_LIMITED])
@pytest.mark.parametrize("probe", [ResultKind.FAILED, ResultKind.RATE_LIMITED])
@pytest.mark.parametrize("failures", range(FAILURE_THRESHOLD))
def test_a_failed_probe_doubles_the_backoff(failures: int, first: ResultKind, probe: ResultKind) -> None:
    """The first block lasts 5 seconds, and 10 after a failed probe; a quota block lasts an hour or its Retry-After."""
    blocked = end_call(BreakerState(FAILURE_THRESHOLD - 1 if first is ResultKind.FAILED else failures), first)
    assert blocked.blocked_until == NOW + 5 * SECOND
    assert end_call(blocked, probe).blocked_until == NOW + 10 * SECOND
    assert end_call(BreakerState(), ResultKind.QUOTA_EXCEEDED).blocked_until == NOW + QUOTA_BACKOFF
    assert end_call(BreakerState(), ResultKind.QUOTA_EXCEEDED, retry_after=60).blocked_until == NOW + 60 * SECOND


def test_concurrent_refusals_count_once() -> None:
    """Thirty-two concurrent calls that are rate limited change the state as one call does."""
    for retry_after in (None, 60):
        first = state = apply_result(BreakerState(), CallResult(ResultKind.RATE_LIMITED, None, retry_after), NOW)
        for number in range(31):
            state = apply_result(
                state, CallResult(ResultKind.RATE_LIMITED, None, retry_after), NOW + number * SECOND / 10
            )
        assert state == first


def test_a_late_result_changes_nothing() -> None:
    """A call admitted before the block neither ends nor extends it, unless the provider requested a longer wait."""
    blocked = open_breaker()
    for kind in ResultKind:
        assert apply_result(blocked, CallResult(kind, None), NOW) == blocked
        assert apply_result(BreakerState(), CallResult(kind, NOW), NOW) == BreakerState()
    assert (
        apply_result(blocked, CallResult(ResultKind.RATE_LIMITED, None, 3600), NOW).blocked_until == NOW + 3600 * SECOND
    )
    assert apply_result(blocked, CallResult(ResultKind.RATE_LIMITED, None, 1), NOW) == blocked


def test_a_late_wait_must_exceed_the_block_by_five_seconds() -> None:
    """A late Retry-After that ends more than five seconds after the block extends it; one of exactly five does not."""
    blocked = BreakerState(FAILURE_THRESHOLD, NOW + 60 * SECOND)
    assert apply_result(blocked, CallResult(ResultKind.RATE_LIMITED, None, 65), NOW) == blocked
    assert apply_result(blocked, CallResult(ResultKind.RATE_LIMITED, None, 66), NOW) == BreakerState(
        FAILURE_THRESHOLD, NOW + 66 * SECOND
    )


@given(
    st.integers(0, 10**9),
    st.none() | st.timedeltas(-timedelta(days=9), timedelta(days=9)),
    st.sampled_from(ResultKind),
    st.booleans(),
    st.none() | st.floats(0, allow_infinity=False, allow_nan=False),
)
def test_a_block_always_ends(
    failures: int, block: timedelta | None, kind: ResultKind, is_late: bool, retry_after: float | None
) -> None:
    """From any state and after any result, a probe is admitted after at most a day, or after the block in force."""
    state = BreakerState(failures, None if block is None else NOW + block)
    seen = NOW + timedelta(days=99) if is_late else state.blocked_until
    admitted = admission(apply_result(state, CallResult(kind, seen, retry_after), NOW))
    if isinstance(admitted, NoCalls):
        longest = max(NOW + MAX_RETRY_AFTER, state.blocked_until or NOW)
        assert NOW < admitted.until <= longest
        assert isinstance(decide_admission(failures, admitted.until, admitted.until), SingleProbe)

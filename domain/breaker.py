"""The circuit breaker for calls to a provider: when calls pause, and how each call's result changes that.

The state is the number of consecutive failures and the end of the current block. A call remembers the block under
which it was admitted: when another block is in force by the time its result arrives, the result is late and neither
opens nor closes the breaker.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

FAILURE_THRESHOLD = 5
"""How many consecutive failures open the breaker. Each failed call may leave a mail with an unknown outcome."""
INITIAL_BACKOFF = timedelta(seconds=5)
MAX_BACKOFF = timedelta(minutes=5)
QUOTA_BACKOFF = timedelta(hours=1)
MAX_RETRY_AFTER = timedelta(days=1)
"""A longer Retry-After of the provider is cut to this."""
PROBE_LEASE = timedelta(minutes=2)
"""How long other calls wait for a probe whose result does not arrive: longer than any call may take."""


@dataclass(frozen=True, slots=True)
class AllCalls:
    """The breaker is closed: every call is admitted."""


@dataclass(frozen=True, slots=True)
class SingleProbe:
    """The breaker is half-open: one call is admitted. All others wait until `until`, which becomes the new block."""

    until: datetime


@dataclass(frozen=True, slots=True)
class NoCalls:
    """The breaker is open: no call is admitted before `until`."""

    until: datetime


Admission: TypeAlias = AllCalls | SingleProbe | NoCalls


@dataclass(frozen=True, slots=True)
class BreakerState:
    """The consecutive failures of a provider, and until when calls are blocked.

    A refusal that opens the breaker at once counts as the last of `FAILURE_THRESHOLD` failures.
    """

    failures: int = 0
    blocked_until: datetime | None = None


class ResultKind(StrEnum):
    """What the end of a call says about the provider."""

    SERVED = "served"
    """The provider answered; it may have refused this one request."""
    SLOW = "slow"
    """The provider answered, but so late that it holds the places of calls that others need."""
    FAILED = "failed"
    """The provider or the network failed."""
    RATE_LIMITED = "rate_limited"
    """The provider asked for fewer requests, or for a later retry."""
    QUOTA_EXCEEDED = "quota_exceeded"
    """The account's quota is used up."""
    NOT_MADE = "not_made"
    """The call was admitted but not made."""


@dataclass(frozen=True, slots=True)
class CallResult:
    """How an admitted call ended; `seen_block` is the block at its admission, `retry_after` seconds if given."""

    kind: ResultKind
    seen_block: datetime | None
    retry_after: float | None = None


def decide_admission(failures: int, blocked_until: datetime | None, now: datetime) -> Admission:
    """Return how many calls may be made now."""
    if blocked_until is not None and now < blocked_until:
        return NoCalls(blocked_until)
    if blocked_until is not None or failures >= FAILURE_THRESHOLD:
        return SingleProbe(now + PROBE_LEASE)
    return AllCalls()


def apply_result(state: BreakerState, result: CallResult, now: datetime) -> BreakerState:
    """Return the state after the end of a call."""
    requested = _requested_wait(result)
    if result.seen_block != state.blocked_until:
        # The result is late. Only a wait that the provider requested still counts. It must exceed the current block by
        # more than INITIAL_BACKOFF, so that many such answers to concurrent calls do not each move the block.
        end = None if requested is None else now + requested
        extends = state.blocked_until is not None and end is not None and end > state.blocked_until + INITIAL_BACKOFF
        return BreakerState(state.failures, end) if extends else state
    stays_closed = state.blocked_until is None and state.failures + 1 < FAILURE_THRESHOLD
    match result.kind:
        case ResultKind.SERVED:
            return BreakerState()
        case ResultKind.NOT_MADE:
            is_blocked = state.blocked_until is not None and now < state.blocked_until
            return BreakerState(state.failures, now) if is_blocked else state
        case ResultKind.QUOTA_EXCEEDED:
            return BreakerState(state.failures, now + (requested or QUOTA_BACKOFF))
        case ResultKind.SLOW | ResultKind.FAILED if stays_closed:
            return BreakerState(state.failures + 1)
        case ResultKind.SLOW | ResultKind.FAILED | ResultKind.RATE_LIMITED:
            # Each probe that is not served doubles the backoff, whatever opened the breaker.
            failures = max(state.failures + 1, FAILURE_THRESHOLD)
            return BreakerState(failures, now + (requested or compute_backoff(failures - FAILURE_THRESHOLD + 1)))


def compute_backoff(attempts: int) -> timedelta:
    """Return how long to wait after `attempts` consecutive failures: it doubles each time, up to MAX_BACKOFF."""
    doublings = min(max(attempts - 1, 0), 20)
    return min(INITIAL_BACKOFF * (1 << doublings), MAX_BACKOFF)


def _requested_wait(result: CallResult) -> timedelta | None:
    if result.retry_after is None or result.kind not in {ResultKind.RATE_LIMITED, ResultKind.QUOTA_EXCEEDED}:
        return None
    seconds = min(max(result.retry_after, 1.0), MAX_RETRY_AFTER.total_seconds())
    return timedelta(seconds=seconds)

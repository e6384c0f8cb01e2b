"""When calls to a provider that does not serve them are put off, and what its next answer makes of that.

A state is how many calls in a row were not served, and until when nothing is called. A call knows the block it was let
through under: its news is late once another block stands, and then neither opens nor closes anything.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

OPENS_AFTER = 5
"""How many calls in a row fail before no more are made; each may cost a mail the certainty of its outcome."""
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=5)
QUOTA_WAIT = timedelta(hours=1)
LONGEST_ASKED = timedelta(days=1)
"""No provider is believed that wants to be left alone for longer."""
PROBE_HOLD = timedelta(minutes=2)
"""How long the others wait for a probe that brings no news: longer than a call may take."""


@dataclass(frozen=True, slots=True)
class Everything:
    """Calls are made."""


@dataclass(frozen=True, slots=True)
class OneProbe:
    """One call may be made; all others wait until `until`, which becomes the new block."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Nothing:
    """No call is made before `until`."""

    until: datetime


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a provider: calls in a row it did not serve, and until when it is left alone.

    A refusal that begins a block at once counts like the last of `OPENS_AFTER` failures.
    """

    failures: int = 0
    blocked_until: datetime | None = None


class Kind(StrEnum):
    """How a call ended, as far as it tells something about the provider."""

    SERVED = "served"
    """It answered, though perhaps with a refusal of this one request."""
    FAILED = "failed"
    """The provider or the network did not do its part."""
    LIMITED = "limited"
    """It asked for fewer requests, or to come back later."""
    USED_UP = "used up"
    """The quota is used up."""
    NOT_MADE = "not made"
    """The call was let through and then not made."""


@dataclass(frozen=True, slots=True)
class News:
    """How a call ended that was let through while the block was `seen`; `retry_after` in seconds, where it was told."""

    kind: Kind
    seen: datetime | None
    retry_after: float | None = None


def admits(failures: int, blocked_until: datetime | None, now: datetime) -> Everything | OneProbe | Nothing:
    """Return how many calls may be made now."""
    if blocked_until is not None and now < blocked_until:
        return Nothing(blocked_until)
    if blocked_until is not None or failures >= OPENS_AFTER:
        return OneProbe(now + PROBE_HOLD)
    return Everything()


def after(state: State, news: News, now: datetime) -> State:
    """Return the state that the end of a call leads to."""
    asked = _asked(news)
    if news.seen != state.blocked_until:
        # Late: only a wait that the provider itself named is still news, and not each of those it named at once.
        later = state.blocked_until is not None and asked is not None and now + asked > state.blocked_until + FIRST_WAIT
        return State(state.failures, now + asked) if later and asked is not None else state
    match news.kind:
        case Kind.SERVED:
            return State()
        case Kind.NOT_MADE:
            is_held = state.blocked_until is not None and now < state.blocked_until
            return State(state.failures, now) if is_held else state
        case Kind.USED_UP:
            return State(state.failures, now + (asked or QUOTA_WAIT))
        case Kind.FAILED if state.blocked_until is None and state.failures + 1 < OPENS_AFTER:
            return State(state.failures + 1)
        case Kind.FAILED | Kind.LIMITED:
            # Whatever began the block, each probe that is not served doubles the wait.
            failures = max(state.failures + 1, OPENS_AFTER)
            return State(failures, now + (asked or wait(failures - OPENS_AFTER + 1)))


def wait(times: int) -> timedelta:
    """Return how long to wait after a trouble met `times` in a row: doubling up to some minutes."""
    doublings = min(max(times - 1, 0), 20)
    return min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)


def _asked(news: News) -> timedelta | None:
    if news.retry_after is None or news.kind not in {Kind.LIMITED, Kind.USED_UP}:
        return None
    seconds = min(max(news.retry_after, 1.0), LONGEST_ASKED.total_seconds())
    return timedelta(seconds=seconds)

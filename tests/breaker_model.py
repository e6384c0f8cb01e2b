"""A model of the circuit breaker, written from its documentation in docs/runbook.md."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from domain.breaker import ResultKind

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True)
class Call:
    """An admitted call and the block at its admission, None without a block."""

    seen_block: datetime | None
    is_probe: bool


@dataclass(frozen=True)
class Model:
    """The state of the breaker, and how the end of each call changes it."""

    failures: int = 0
    """Consecutive calls that were not served; a refusal that opens the breaker at once counts as the fifth."""
    block: datetime | None = None

    def get_admission(self, now: datetime) -> str:
        """Return how many calls are admitted: all, one when a block has ended, or none during a block."""
        if self.block is None:
            return "all"
        return "one" if now >= self.block else "none"

    def probe(self, now: datetime) -> "Model":
        """Admit one probe; all other calls wait two minutes for its result."""
        return replace(self, block=now + 2 * MINUTE)

    def end(self, call: Call, kind: ResultKind, retry_after: float | None, now: datetime) -> "Model":
        """Return the model after the end of a call."""
        requested = None
        if kind in {ResultKind.RATE_LIMITED, ResultKind.QUOTA_EXCEEDED} and retry_after is not None:
            requested = min(max(timedelta(seconds=retry_after), SECOND), timedelta(days=1))
        if call.seen_block != self.block:
            # The result is late. Only a longer wait that the provider requested extends the block.
            extends = self.block is not None and requested is not None and now + requested > self.block + 5 * SECOND
            return replace(self, block=now + requested) if extends and requested is not None else self
        if kind is ResultKind.SERVED:
            return Model()
        if kind is ResultKind.NOT_MADE:
            # The next call may probe at once.
            return self if self.block is None else replace(self, block=min(self.block, now))
        if kind is ResultKind.QUOTA_EXCEEDED:
            return replace(self, block=now + (requested or HOUR))
        opens_or_extends = kind is ResultKind.RATE_LIMITED or self.block is not None
        failures = max(self.failures + 1, 5) if opens_or_extends else self.failures + 1
        return Model(failures, now + (requested or self.compute_backoff(failures)) if failures >= 5 else None)

    @staticmethod
    def compute_backoff(failures: int) -> timedelta:
        """Return the backoff: 5 seconds after the fifth failure, doubling up to 5 minutes."""
        backoff = 5 * SECOND
        for _ in range(5, failures):
            backoff = min(2 * backoff, 5 * MINUTE)
        return backoff

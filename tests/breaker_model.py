"""The breaker as its documentation has it: what docs/runbook.md says under "Everlytic does not serve"."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from domain.breaker import Kind

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True)
class Call:
    """A call under way, and the block that it was let through under: None where none stood."""

    seen: datetime | None
    is_probe: bool


@dataclass(frozen=True)
class Model:
    """What is known of a provider, and what each end of a call makes of it."""

    troubles: int = 0
    """Calls in a row that were not served; a refusal that begins a block at once counts like the last of five."""
    block: datetime | None = None

    def lets_through(self, now: datetime) -> str:
        """Return how many calls may be made: all, a single one when a block is over, none while it stands."""
        if self.block is None:
            return "all"
        return "one" if now >= self.block else "none"

    def probe(self, now: datetime) -> "Model":
        """Let one call try; the others wait two minutes for its news."""
        return replace(self, block=now + 2 * MINUTE)

    def end(self, call: Call, kind: Kind, retry_after: float | None, now: datetime) -> "Model":
        """Return what the end of a call leads to."""
        named = None
        if kind in {Kind.LIMITED, Kind.USED_UP} and retry_after is not None:
            named = min(max(timedelta(seconds=retry_after), SECOND), timedelta(days=1))
        if call.seen != self.block:
            # Late: the block that stands is another. Only a longer wait that the provider named prolongs it.
            prolongs = self.block is not None and named is not None and now + named > self.block + 5 * SECOND
            return replace(self, block=now + named) if prolongs and named is not None else self
        if kind is Kind.SERVED:
            return Model()
        if kind is Kind.NOT_MADE:
            # A probe gives its place to the next call, at once.
            return self if self.block is None else replace(self, block=min(self.block, now))
        if kind is Kind.USED_UP:
            return replace(self, block=now + (named or HOUR))
        begins_or_renews = kind is Kind.LIMITED or self.block is not None
        troubles = max(self.troubles + 1, 5) if begins_or_renews else self.troubles + 1
        return Model(troubles, now + (named or self.wait(troubles)) if troubles >= 5 else None)

    @staticmethod
    def wait(troubles: int) -> timedelta:
        """Return the wait: 5 seconds after the fifth trouble in a row, twice as long each time, 5 minutes at most."""
        wait = 5 * SECOND
        for _ in range(5, troubles):
            wait = min(2 * wait, 5 * MINUTE)
        return wait

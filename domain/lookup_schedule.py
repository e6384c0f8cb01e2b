"""When to look up a send of unknown outcome at the provider, and when to hand it to a user."""

from dataclasses import dataclass
from datetime import datetime, timedelta

MIN_INTERVAL = timedelta(minutes=1)
MAX_INTERVAL = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class LookupSchedule:
    """The lookups of a send that was claimed at `claimed_at`; the first one comes `initial_delay` after it."""

    claimed_at: datetime
    max_wait: timedelta
    initial_delay: timedelta

    @property
    def stuck_at(self) -> datetime:
        """The time from which a user has to decide."""
        return self.claimed_at + self.max_wait

    def is_over(self, now: datetime) -> bool:
        """Return whether a lookup at `now` is the last one."""
        return now >= self.stuck_at

    def next_lookup_at(self, failed_lookups: int, now: datetime) -> datetime:
        """Return when to look again: the interval doubles after each failed lookup, the last lookup is at `stuck_at`.

        A lookup that could not be made, for example without a connection, does not count as failed. It is retried even
        after `stuck_at`.
        """
        interval = self.initial_delay * (1 << min(failed_lookups, 16))
        at = now + max(MIN_INTERVAL, min(interval, MAX_INTERVAL))
        return at if self.is_over(now) else min(at, self.stuck_at)

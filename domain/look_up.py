"""How long, and how often, a send of unknown outcome is looked for before a person is asked."""

from dataclasses import dataclass
from datetime import datetime, timedelta

SHORTEST = timedelta(minutes=1)
LONGEST = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class Search:
    """The search for a send that was claimed at `claimed_at`; it waits `first` before the first look."""

    claimed_at: datetime
    wait: timedelta
    first: timedelta

    @property
    def stuck_at(self) -> datetime:
        """When a person is asked."""
        return self.claimed_at + self.wait

    def is_over(self, now: datetime) -> bool:
        """Say whether a look at `now` is the last."""
        return now >= self.stuck_at

    def next_look(self, looks: int, now: datetime) -> datetime:
        """Return when to look again after `looks` in vain: each wait is twice the last, the last ends when it is stuck.

        A look that could not be had does not count, and is tried again however late it is.
        """
        doubled = self.first * (1 << min(looks, 16))
        at = now + max(SHORTEST, min(doubled, LONGEST))
        return at if self.is_over(now) else min(at, self.stuck_at)

"""When a list that was asked for newest first need not be read on: only after it has shown that it is in that order."""

import itertools
from collections.abc import Sequence
from datetime import datetime


class NewestFirst:
    """Watches the pages of one list go by; ``since`` is the oldest moment that matters, None for all.

    A provider that ignores the order asked for, or keeps to another, costs more pages and no item. Pages may overlap,
    because the list moves while mail is being sent.
    """

    def __init__(self, since: datetime | None) -> None:
        self._since = since
        self._first: datetime | None = None
        self._descends = False
        self._is_in_order = True

    def is_past(self, moments: Sequence[datetime | None]) -> bool:
        """Whether the page with these moments, and so all that follow, lie wholly before ``since``."""
        known = [moment for moment in moments if moment is not None]
        if self._since is None or not known:
            return False
        newest = self._first or known[0]
        ordered = all(later >= earlier for later, earlier in itertools.pairwise(known))
        self._is_in_order = self._is_in_order and ordered and newest >= known[0]
        # Many of one second show no order: they may be the beginning of a list that is oldest first.
        self._descends = self._descends or newest > known[-1]
        self._first = known[0]
        is_whole = len(known) == len(moments)
        return is_whole and self._is_in_order and self._descends and known[0] < self._since

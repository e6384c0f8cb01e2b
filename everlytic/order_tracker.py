"""Decides when reading a list that was requested newest first can stop: only once its order is confirmed."""

import itertools
from collections.abc import Sequence
from datetime import datetime


class OrderTracker:
    """Tracks the order of a list page by page; ``since`` is the oldest moment of interest, None for all.

    When the provider ignores the requested order, more pages are read but no item is lost. Pages may overlap, because
    mail is sent while the list is read.
    """

    def __init__(self, since: datetime | None) -> None:
        self._since = since
        self._first: datetime | None = None
        self._descends = False
        self._is_in_order = True

    def is_past(self, moments: Sequence[datetime | None]) -> bool:
        """Return whether the page with these moments, and so every later page, is entirely before ``since``."""
        known = [moment for moment in moments if moment is not None]
        if self._since is None or not known:
            return False
        newest = self._first or known[0]
        ordered = all(later >= earlier for later, earlier in itertools.pairwise(known))
        self._is_in_order = self._is_in_order and ordered and newest >= known[0]
        # Equal moments show no order: they may be the start of a list that is sorted oldest first.
        self._descends = self._descends or newest > known[-1]
        self._first = known[0]
        is_complete = len(known) == len(moments)
        return is_complete and self._is_in_order and self._descends and known[0] < self._since

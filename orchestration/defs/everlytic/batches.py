"""Lands polled rows of all tenants in batches while polling continues, which bounds the memory used."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import polars as pl
import psycopg

from orchestration.defs.everlytic.landing import LandingTable, land_frame

BATCH_ROWS = 20_000
"""Rows per COPY, enough to make its fixed cost negligible; at most two batches are in memory, at about 2 kB a row."""

Row = dict[str, Any]


@dataclass(slots=True)
class LandingCounts:
    """Counts of the rows landed so far (one per key and batch), the new and changed ones, and their range of dates."""

    rows: int = 0
    by_workspace: dict[str, tuple[int, int]] = field(default_factory=dict)
    by_day: Counter[date] = field(default_factory=Counter)
    first: datetime | date | None = None
    last: datetime | date | None = None

    @property
    def new_rows(self) -> int:
        """Number of rows with a new key."""
        return sum(new for new, _ in self.by_workspace.values())

    @property
    def changed_rows(self) -> int:
        """Number of existing rows whose content changed."""
        return sum(changed for _, changed in self.by_workspace.values())

    def add_batch(
        self, table: LandingTable, frame: pl.DataFrame, batch_by_workspace: Mapping[str, tuple[int, int]]
    ) -> None:
        """Add the counts of one batch."""
        self.rows += frame.height
        for workspace, (new, changed) in batch_by_workspace.items():
            total = self.by_workspace.get(workspace, (0, 0))
            self.by_workspace[workspace] = (total[0] + new, total[1] + changed)
        times = frame.get_column(table.date_column).drop_nulls()
        if times.is_empty():
            return
        self.by_day.update(dict(times.cast(pl.Date).alias("day").value_counts().iter_rows()))
        bounds: list[Any] = [times.min(), times.max(), *(end for end in (self.first, self.last) if end is not None)]
        self.first, self.last = min(bounds), max(bounds)


class BatchWriter:
    """Collects rows and lands them whenever there are `size` of them; call `flush` at the end.

    Each batch has its own connection and transaction, so no connection stays open while the provider is polled. Rows
    that have landed stay if a later page fails: rows are overwritten by key, so the range can be polled again.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection],
        table: LandingTable,
        log: Callable[[str], None],
        *,
        size: int = BATCH_ROWS,
    ) -> None:
        self.counts = LandingCounts()
        self._connect = connect
        self._table = table
        self._log = log
        self._size = size
        self._rows: list[Row] = []
        self._lock = asyncio.Lock()

    async def add(self, row: Row) -> None:
        """Add a row; the caller that fills a batch waits until it and any batch before it have landed."""
        self._rows.append(row)
        if len(self._rows) >= self._size:
            await self._land_pending(self._size)

    async def flush(self) -> LandingCounts:
        """Land the remaining rows and return the counts of all batches."""
        await self._land_pending(1)
        return self.counts

    async def _land_pending(self, min_rows: int) -> None:
        async with self._lock:
            if len(self._rows) < min_rows:
                return
            rows, self._rows = self._rows, []
            frame, by_workspace = await asyncio.to_thread(self._land, rows)
            self.counts.add_batch(self._table, frame, by_workspace)
            self._log(f"Landed {self.counts.rows:,} rows in everlytic.{self._table.name} so far.")

    def _land(self, rows: Sequence[Row]) -> tuple[pl.DataFrame, dict[str, tuple[int, int]]]:
        frame = self._table.to_frame(rows)
        with self._connect() as connection, connection.transaction():
            return frame, land_frame(connection, self._table, frame)

"""Landing while still asking: rows of all tenants are put away in batches, so that no range is too long for memory."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import polars as pl
import psycopg

from orchestration.defs.everlytic.landing import Landing, land

BATCH_ROWS = 20_000
"""Rows of one COPY: enough that its fixed cost is nothing; twice as many are held at most, with about 2 kB each."""

Row = dict[str, Any]


@dataclass(slots=True)
class Landed:
    """What has landed so far: rows with one key each per batch, of them new and changed per workspace, and when."""

    rows: int = 0
    by_workspace: dict[str, tuple[int, int]] = field(default_factory=dict)
    by_day: Counter[date] = field(default_factory=Counter)
    first: datetime | date | None = None
    last: datetime | date | None = None

    @property
    def new(self) -> int:
        """How many keys were not there before."""
        return sum(new for new, _ in self.by_workspace.values())

    @property
    def changed(self) -> int:
        """How many rows say something else than before."""
        return sum(changed for _, changed in self.by_workspace.values())

    def count(self, landing: Landing, frame: pl.DataFrame, counted: Mapping[str, tuple[int, int]]) -> None:
        """Add one batch."""
        self.rows += frame.height
        for workspace, (new, changed) in counted.items():
            before = self.by_workspace.get(workspace, (0, 0))
            self.by_workspace[workspace] = (before[0] + new, before[1] + changed)
        moments = frame.get_column(landing.dated_by).drop_nulls()
        if moments.is_empty():
            return
        self.by_day.update(dict(moments.cast(pl.Date).alias("day").value_counts().iter_rows()))
        ends: list[Any] = [moments.min(), moments.max(), *(end for end in (self.first, self.last) if end is not None)]
        self.first, self.last = min(ends), max(ends)


class Batches:
    """Takes rows one by one and lands them when there are `size` of them; call `finish` at the end.

    Each batch has a connection and a transaction of its own, so none is held while the provider is asked, and what has
    landed stays when a later page cannot be had: rows are overwritten by key, so the range may be asked for again.
    """

    def __init__(
        self,
        connect: Callable[[], psycopg.Connection],
        landing: Landing,
        say: Callable[[str], None],
        *,
        size: int = BATCH_ROWS,
    ) -> None:
        self.landed = Landed()
        self._connect = connect
        self._landing = landing
        self._say = say
        self._size = size
        self._rows: list[Row] = []
        self._turn = asyncio.Lock()

    async def add(self, row: Row) -> None:
        """Take a row; who fills the batch waits until it has landed, and so do all who fill the next one meanwhile."""
        self._rows.append(row)
        if len(self._rows) >= self._size:
            await self._land_if(self._size)

    async def finish(self) -> Landed:
        """Land what is left and return what has landed in all."""
        await self._land_if(1)
        return self.landed

    async def _land_if(self, enough: int) -> None:
        async with self._turn:
            if len(self._rows) < enough:
                return
            rows, self._rows = self._rows, []
            frame, counted = await asyncio.to_thread(self._land, rows)
            self.landed.count(self._landing, frame, counted)
            self._say(f"{self.landed.rows:,} rows have landed in everlytic.{self._landing.table} so far.")

    def _land(self, rows: Sequence[Row]) -> tuple[pl.DataFrame, dict[str, tuple[int, int]]]:
        frame = self._landing.frame(rows)
        with self._connect() as connection, connection.transaction():
            return frame, land(connection, self._landing, frame)

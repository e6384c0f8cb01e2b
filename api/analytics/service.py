"""The figures of a workspace, for a campaign, a day or a period."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from api.analytics import repository
from api.errors import Malformed, NotFound

LONGEST_DAYS = 366
USUAL_DAYS = 30


class NotBuilt(NotFound):
    """The figures do not exist yet: dbt has not run on this database."""

    code = "analytics_not_built"


@dataclass(frozen=True, slots=True)
class Period:
    """Local days from `start` to `end`, both included; an end that is None is open."""

    start: date | None
    end: date | None

    def previous(self) -> "Period | None":
        """Return the period of equal length that ends the day before, if both ends are known."""
        if self.start is None or self.end is None:
            return None
        return Period(self.start - (self.end - self.start) - timedelta(days=1), self.start - timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Totals:
    """The totals of a period."""

    period: Period
    figures: Row[Any]


async def list_campaigns(
    session: AsyncSession, workspace_id: UUID, *, before: str | None, limit: int
) -> tuple[Sequence[Row[Any]], str | None]:
    """Return some of the workspace's campaigns and the last of them, None where no more follow; raises NotBuilt."""
    with _built():
        rows = await repository.find_campaigns(session, workspace_id, before=before, limit=limit)
    more = len(rows) > limit
    return rows[:limit], rows[limit - 1].campaign_id if more else None


async def get_campaign(
    session: AsyncSession, workspace_id: UUID, campaign_id: str
) -> tuple[Row[Any], Sequence[Row[Any]]]:
    """Return a campaign's figures, and those of its steps; raises NotFound and NotBuilt."""
    with _built():
        campaign = await repository.find_campaign(session, workspace_id, campaign_id)
        if campaign is None:
            raise NotFound("There is no such campaign, or nothing of it has been counted yet.")
        return campaign, await repository.find_steps(session, workspace_id, campaign_id)


async def list_days(
    session: AsyncSession,
    workspace_id: UUID,
    zone: ZoneInfo,
    *,
    start: date | None,
    end: date | None,
    now: datetime,
) -> Sequence[Row[Any]]:
    """Return one row for each local day, the last 30 unless told; raises Malformed and NotBuilt."""
    last = end or (start + timedelta(days=USUAL_DAYS - 1) if start else now.astimezone(zone).date())
    first = start or last - timedelta(days=USUAL_DAYS - 1)
    _check(first, last)
    with _built():
        return await repository.find_days(session, workspace_id, first, last)


async def get_totals(session: AsyncSession, period: Period) -> tuple[Totals, Totals | None]:
    """Return the totals of a period and of the one before it; raises Malformed and NotBuilt."""
    _check(period.start, period.end)
    with _built():
        totals = Totals(period, await repository.find_totals(session, period.start, period.end))
        before = period.previous()
        if before is None:
            return totals, None
        return totals, Totals(before, await repository.find_totals(session, before.start, before.end))


def _check(start: date | None, end: date | None) -> None:
    if start is None or end is None:
        return
    if start > end:
        problem = {"location": ["query", "start"], "message": f"must not be after end, {end}"}
        raise Malformed("The period starts after it ends.", errors=[problem])
    if (end - start).days >= LONGEST_DAYS:
        problem = {"location": ["query", "end"], "message": f"at most {LONGEST_DAYS} days after start"}
        raise Malformed(f"A period is at most {LONGEST_DAYS} days long.", errors=[problem])


@contextmanager
def _built() -> Iterator[None]:
    try:
        yield
    except repository.MartMissing as error:
        raise NotBuilt(
            "The figures have not been built yet; they are there after the first run of the analytics pipeline."
        ) from error

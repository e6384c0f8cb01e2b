"""The figures of a workspace: by campaign, by day or for a period."""

import codecs
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO
from uuid import UUID

from pydantic.alias_generators import to_camel
from sqlalchemy.ext.asyncio import AsyncSession

from api.analytics import repository
from api.analytics.repository import COUNTS, RATES, MartQuery
from api.analytics.schemas import CampaignFilter
from api.http.errors import NotFound
from api.http.pagination import PageRequest
from api.http.periods import Days, Period
from database.direct import Record

IN_MEMORY_BYTES = 4 * 1024 * 1024
RATE_DIGITS = 12
"""Digits of the difference of two rates. Further digits are rounding errors of floats."""
NEVER_SENT = "-infinity"


class NotBuilt(NotFound):
    """The figures do not exist yet: dbt has not run on this database."""

    code = "analytics_not_built"


async def list_campaigns(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, filters: CampaignFilter
) -> tuple[list[Record], str | None]:
    """Return a page of the workspace's campaigns and the cursor of the next page, or None; raises NotBuilt."""
    query = repository.select_campaigns(workspace_id, filters, page.sort, after=page.after, limit=page.limit + 1)
    rows = await _read(session, query)
    items = rows[: page.limit]
    if len(rows) <= page.limit:
        return items, None
    last = items[-1]
    return items, page.cursor_after(last[repository.sort_column(page.sort)] or NEVER_SENT, last["campaign_id"])


async def get_campaign(session: AsyncSession, workspace_id: UUID, campaign_id: str) -> Record:
    """Return a campaign's figures and those of its `steps`; raises NotFound and NotBuilt."""
    row = await _campaign(session, workspace_id, campaign_id)
    return {**row, "steps": await _read(session, repository.select_steps(workspace_id, campaign_id))}


async def _campaign(session: AsyncSession, workspace_id: UUID, campaign_id: str) -> Record:
    rows = await _read(session, repository.select_campaign(workspace_id, campaign_id))
    if not rows:
        raise NotFound("There is no such campaign, or it has no figures yet.")
    return rows[0]


async def list_days(
    session: AsyncSession, workspace_id: UUID, days: Days, campaign_id: str | None = None
) -> list[Record]:
    """Return one row per local day, of all campaigns or of one; raises NotFound and NotBuilt."""
    return await _read(session, await _days(session, workspace_id, days, campaign_id))


async def _days(session: AsyncSession, workspace_id: UUID, days: Days, campaign_id: str | None) -> MartQuery:
    if campaign_id is not None and (await _campaign(session, workspace_id, campaign_id))["kind"] == "bulk":
        raise NotFound("Everlytic does not report the days of a bulk email's events.")
    return repository.select_days(workspace_id, days.start, days.end, campaign_id=campaign_id)


async def get_totals(session: AsyncSession, period: Period) -> Record:
    """Return the totals of a period with `previous` and `change`, None without both ends; raises NotBuilt."""
    totals, *before = await _read(session, _totals(period))
    if not before:
        return {**totals, "previous": None, "change": None}
    return {**totals, "previous": before[0], "change": _change(before[0], totals)}


def _totals(period: Period) -> MartQuery:
    before = period.previous()
    return repository.select_totals(
        [(current.start, current.end) for current in (period, before) if current is not None]
    )


def _change(before: Record, after: Record) -> Record:
    changes: Record = {}
    for name in (*COUNTS, *RATES):
        has_both = before[name] is not None and after[name] is not None
        changes[name] = round(after[name] - before[name], RATE_DIGITS) if has_both else None
    return changes


async def write_campaigns(session: AsyncSession, workspace_id: UUID, filters: CampaignFilter, sort: str) -> IO[bytes]:
    """Return all campaigns as an open CSV file at its start; raises NotBuilt."""
    return await _write(session, repository.select_campaigns(workspace_id, filters, sort))


async def write_steps(session: AsyncSession, workspace_id: UUID, campaign_id: str) -> IO[bytes]:
    """Return the steps of a campaign as an open CSV file at its start; raises NotFound and NotBuilt."""
    await _campaign(session, workspace_id, campaign_id)
    return await _write(session, repository.select_steps(workspace_id, campaign_id))


async def write_days(
    session: AsyncSession, workspace_id: UUID, days: Days, campaign_id: str | None = None
) -> IO[bytes]:
    """Return the days as an open CSV file at its start; raises NotFound and NotBuilt."""
    return await _write(session, await _days(session, workspace_id, days, campaign_id))


async def write_totals(session: AsyncSession, period: Period) -> IO[bytes]:
    """Return the totals of a period and of the previous one as an open CSV file at its start; raises NotBuilt."""
    return await _write(session, _totals(period))


async def _read(session: AsyncSession, query: MartQuery) -> list[Record]:
    with _raise_not_built():
        return await repository.fetch_rows(session, query)


async def _write(session: AsyncSession, query: MartQuery) -> IO[bytes]:
    with ExitStack() as stack:
        target = stack.enter_context(tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES))
        target.write(codecs.BOM_UTF8 + ",".join(map(to_camel, query.columns)).encode() + b"\r\n")
        with _raise_not_built():
            async for line in repository.stream_csv_lines(session, query):
                target.write(line)
        target.seek(0)
        stack.pop_all()  # the response closes the file
    return target


@contextmanager
def _raise_not_built() -> Iterator[None]:
    try:
        yield
    except repository.MartMissing as error:
        raise NotBuilt("The figures have not been built yet. Run the analytics pipeline first.") from error

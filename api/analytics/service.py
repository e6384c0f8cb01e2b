"""The figures of a workspace, for a campaign, a day or a period."""

import codecs
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO
from uuid import UUID

from pydantic.alias_generators import to_camel
from sqlalchemy.ext.asyncio import AsyncSession

from api.analytics import repository
from api.analytics.repository import COUNTS, RATES, Slice
from api.analytics.schemas import CampaignFilter
from api.http.errors import NotFound
from api.http.pagination import PageRequest
from api.http.periods import Days, Period
from database.direct import Record

IN_MEMORY_BYTES = 4 * 1024 * 1024
RATE_DIGITS = 12
"""To how many digits two rates differ: what is beyond comes of their being floats."""
NEVER = "-infinity"


class NotBuilt(NotFound):
    """The figures do not exist yet: dbt has not run on this database."""

    code = "analytics_not_built"


async def list_campaigns(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, wanted: CampaignFilter
) -> tuple[list[Record], str | None]:
    """Return some of the workspace's campaigns and the cursor of more, None where no more follow; raises NotBuilt."""
    found = repository.campaigns(workspace_id, wanted, page.sort, after=page.after, limit=page.limit + 1)
    rows = await _read(session, found)
    shown = rows[: page.limit]
    if len(rows) <= page.limit:
        return shown, None
    last = shown[-1]
    return shown, page.cursor_after(last[repository.sort_column(page.sort)] or NEVER, last["campaign_id"])


async def get_campaign(session: AsyncSession, workspace_id: UUID, campaign_id: str) -> Record:
    """Return a campaign's figures, with those of its `steps`; raises NotFound and NotBuilt."""
    found = await _campaign(session, workspace_id, campaign_id)
    return {**found, "steps": await _read(session, repository.steps(workspace_id, campaign_id))}


async def _campaign(session: AsyncSession, workspace_id: UUID, campaign_id: str) -> Record:
    found = await _read(session, repository.campaign(workspace_id, campaign_id))
    if not found:
        raise NotFound("There is no such campaign, or it has no figures yet.")
    return found[0]


async def list_days(
    session: AsyncSession, workspace_id: UUID, wanted: Days, campaign_id: str | None = None
) -> list[Record]:
    """Return one row for each local day, of all campaigns or of one; raises NotFound and NotBuilt."""
    return await _read(session, await _days(session, workspace_id, wanted, campaign_id))


async def _days(session: AsyncSession, workspace_id: UUID, wanted: Days, campaign_id: str | None) -> Slice:
    if campaign_id is not None and (await _campaign(session, workspace_id, campaign_id))["kind"] == "bulk":
        raise NotFound("Everlytic does not report the days of a bulk email's events.")
    return repository.days(workspace_id, wanted.start, wanted.end, campaign_id=campaign_id)


async def get_totals(session: AsyncSession, period: Period) -> Record:
    """Return the totals of a period, with the `previous` ones and the `change` where there are any; raises NotBuilt."""
    totals, *before = await _read(session, _totals(period))
    if not before:
        return {**totals, "previous": None, "change": None}
    return {**totals, "previous": before[0], "change": _change(before[0], totals)}


def _totals(period: Period) -> Slice:
    before = period.previous()
    return repository.totals([(one.start, one.end) for one in (period, before) if one is not None])


def _change(before: Record, after: Record) -> Record:
    changes: Record = {}
    for name in (*COUNTS, *RATES):
        known = before[name] is not None and after[name] is not None
        changes[name] = round(after[name] - before[name], RATE_DIGITS) if known else None
    return changes


async def write_campaigns(session: AsyncSession, workspace_id: UUID, wanted: CampaignFilter, sort: str) -> IO[bytes]:
    """Return the whole list of campaigns as a CSV file at its start; raises NotBuilt."""
    return await _write(session, repository.campaigns(workspace_id, wanted, sort))


async def write_steps(session: AsyncSession, workspace_id: UUID, campaign_id: str) -> IO[bytes]:
    """Return the steps of a campaign as a CSV file at its start; raises NotFound and NotBuilt."""
    await _campaign(session, workspace_id, campaign_id)
    return await _write(session, repository.steps(workspace_id, campaign_id))


async def write_days(
    session: AsyncSession, workspace_id: UUID, wanted: Days, campaign_id: str | None = None
) -> IO[bytes]:
    """Return the days as a CSV file at its start; raises NotFound and NotBuilt."""
    return await _write(session, await _days(session, workspace_id, wanted, campaign_id))


async def write_totals(session: AsyncSession, period: Period) -> IO[bytes]:
    """Return the totals of a period, and below them those before it, as a CSV file at its start; raises NotBuilt."""
    return await _write(session, _totals(period))


async def _read(session: AsyncSession, wanted: Slice) -> list[Record]:
    with _built():
        return await repository.rows_of(session, wanted)


async def _write(session: AsyncSession, wanted: Slice) -> IO[bytes]:
    with ExitStack() as closing:
        target = closing.enter_context(tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES))
        target.write(codecs.BOM_UTF8 + ",".join(map(to_camel, wanted.columns)).encode() + b"\r\n")
        with _built():
            async for line in repository.lines_of(session, wanted):
                target.write(line)
        target.seek(0)
        closing.pop_all()  # whoever sends it closes it
    return target


@contextmanager
def _built() -> Iterator[None]:
    try:
        yield
    except repository.MartMissing as error:
        raise NotBuilt("The figures have not been built yet. Run the analytics pipeline first.") from error

"""HTTP for the figures, as dashboards expect them."""

import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Path, Query
from pydantic import Field

from api.analytics import service
from api.analytics.schemas import AggregateMetrics, CampaignDetail, CampaignMetrics, DayMetrics, TotalMetrics
from api.analytics.service import NotBuilt, Period, Totals
from api.dependencies import MemberDep, PageDep
from api.errors import NotFound, responses
from api.pagination import Page
from api.routing import room_router

router = room_router("/api/metrics/{workspaceId}", "analytics")

EARLIEST, LATEST = datetime.date(2000, 1, 1), datetime.date(2999, 12, 31)

CampaignId = Annotated[
    str,
    Path(alias="campaignId", max_length=100, pattern=r"^[^\x00]+$", description="A sequence's or a bulk email's id."),
]
Day = Annotated[datetime.date, Field(ge=EARLIEST, le=LATEST)]
Start = Annotated[Day | None, Query(description="First day, in the workspace's timezone.")]
End = Annotated[Day | None, Query(description="Last day, itself included.")]


@router.get("/campaigns", operation_id="listCampaignMetrics", responses=responses(NotFound, NotBuilt))
async def list_campaigns(member: MemberDep, page: PageDep) -> Page[CampaignMetrics]:
    """The figures of every campaign of the workspace."""
    before = page.after[0] if page.after else None
    rows, last = await service.list_campaigns(member.session, member.workspace_id, before=before, limit=page.limit)
    next_cursor = page.cursor_after(last) if last is not None else None
    return Page(items=[CampaignMetrics.of(row) for row in rows], next_cursor=next_cursor)


@router.get(
    "/campaigns/{campaignId}",
    operation_id="getCampaignMetrics",
    responses=responses(NotFound, NotBuilt),
)
async def get_campaign(member: MemberDep, campaign_id: CampaignId) -> CampaignDetail:
    """The figures of one campaign, step by step too."""
    campaign, steps = await service.get_campaign(member.session, member.workspace_id, campaign_id)
    return CampaignDetail.of({**campaign._mapping, "steps": steps})  # noqa: SLF001 - as below


@router.get("/timeseries", operation_id="getTimeseries", responses=responses(NotFound, NotBuilt))
async def get_timeseries(member: MemberDep, start: Start = None, end: End = None) -> list[DayMetrics]:
    """What happened on each day, every day present: the last 30 days, or at most 366 from `start` to `end`."""
    zone = ZoneInfo(member.workspace.timezone)
    days = await service.list_days(member.session, member.workspace_id, zone, start=start, end=end, now=member.now)
    return [DayMetrics.of(day) for day in days]


@router.get("/aggregate", operation_id="getAggregate", responses=responses(NotFound, NotBuilt))
async def get_aggregate(member: MemberDep, start: Start = None, end: End = None) -> AggregateMetrics:
    """The messages sent in a period (all of them, unless told) and what became of them, beside the period before."""
    totals, previous = await service.get_totals(member.session, Period(start, end))
    shown = TotalMetrics.of(_figures(previous)) if previous else None
    return AggregateMetrics.of({**_figures(totals), "previous": shown})


def _figures(totals: Totals) -> dict[str, object]:
    return {"start": totals.period.start, "end": totals.period.end, **totals.figures._mapping}  # noqa: SLF001 - SQLAlchemy's public name

"""HTTP for the figures, as dashboards expect them, and as files."""

import datetime
import os
import re
from collections.abc import Iterator
from typing import IO, Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import Depends, Path, Query
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.analytics import service
from api.analytics.schemas import (
    AggregateMetrics,
    CampaignDetail,
    CampaignFilter,
    CampaignMetrics,
    CampaignSort,
    DayMetrics,
)
from api.analytics.service import NotBuilt
from api.http.dependencies import Member, MemberDep
from api.http.errors import NotFound, responses
from api.http.pagination import Page, PageRequest, sorted_by
from api.http.periods import Days, End, Period, Start
from api.http.routing import create_router

router = create_router("/api/metrics/{workspaceId}", "analytics")

SENT_AT_ONCE = 256 * 1024

CampaignId = Annotated[
    str,
    Path(alias="campaignId", max_length=100, pattern=r"^[^\x00]+$", description="A sequence's or a bulk email's id."),
]
OneCampaign = Annotated[
    str | None,
    Query(alias="campaignId", max_length=100, description="Only what became of one sequence's messages."),
]
CampaignPage = Annotated[PageRequest, Depends(sorted_by(CampaignSort))]
Wanted = Annotated[CampaignFilter, Query()]

JSON: dict[str, Any] = {"responses": responses(NotFound, NotBuilt)}
CSV: dict[str, Any] = {
    "response_class": StreamingResponse,
    "responses": responses(NotFound, NotBuilt)
    | {
        200: {
            "content": {"text/csv": {"schema": {"type": "string"}}},
            "description": "RFC 4180, named as in JSON; what is null there is empty.",
        }
    },
}


@router.get("/campaigns", operation_id="listCampaignMetrics", **JSON)
async def list_campaigns(member: MemberDep, page: CampaignPage, wanted: Wanted) -> Page[CampaignMetrics]:
    """The figures of every campaign of the workspace."""
    rows, next_cursor = await service.list_campaigns(member.session, member.workspace_id, page, wanted)
    return Page[CampaignMetrics].of({"items": rows, "next_cursor": next_cursor})


@router.get("/campaigns.csv", operation_id="exportCampaignMetrics", **CSV)
async def export_campaigns(
    member: MemberDep,
    wanted: Wanted,
    sort: Annotated[CampaignSort, Query(description="What the rows are sorted by; `-` for descending.")] = (
        CampaignSort.NEWEST
    ),
) -> StreamingResponse:
    """The figures of every campaign as a CSV file, all of the list."""
    file = await service.write_campaigns(member.session, member.workspace_id, wanted, sort.value)
    return _download(file, member, "campaigns")


@router.get("/campaigns/{campaignId}", operation_id="getCampaignMetrics", **JSON)
async def get_campaign(member: MemberDep, campaign_id: CampaignId) -> CampaignDetail:
    """The figures of one campaign, step by step too."""
    return CampaignDetail.of(await service.get_campaign(member.session, member.workspace_id, campaign_id))


@router.get("/campaigns/{campaignId}/steps.csv", operation_id="exportStepMetrics", **CSV)
async def export_steps(member: MemberDep, campaign_id: CampaignId) -> StreamingResponse:
    """The figures of one campaign's steps as a CSV file."""
    file = await service.write_steps(member.session, member.workspace_id, campaign_id)
    return _download(file, member, "steps", campaign_id)


@router.get("/timeseries", operation_id="getTimeseries", **JSON)
async def get_timeseries(
    member: MemberDep, start: Start = None, end: End = None, campaign_id: OneCampaign = None
) -> list[DayMetrics]:
    """What happened on each day, every day present: the last 30 days, or at most 366 from `start` to `end`."""
    days = _days(member, start, end)
    rows = await service.list_days(member.session, member.workspace_id, days, campaign_id)
    return [DayMetrics.of(row) for row in rows]


@router.get("/timeseries.csv", operation_id="exportTimeseries", **CSV)
async def export_timeseries(
    member: MemberDep, start: Start = None, end: End = None, campaign_id: OneCampaign = None
) -> StreamingResponse:
    """What happened on each day, as a CSV file."""
    days = _days(member, start, end)
    file = await service.write_days(member.session, member.workspace_id, days, campaign_id)
    return _download(file, member, "timeseries", campaign_id, days.start, days.end)


@router.get("/aggregate", operation_id="getAggregate", **JSON)
async def get_aggregate(member: MemberDep, start: Start = None, end: End = None) -> AggregateMetrics:
    """The messages sent in a period (all of them, unless told) and what became of them, beside the period before."""
    return AggregateMetrics.of(await service.get_totals(member.session, Period(start, end)))


@router.get("/aggregate.csv", operation_id="exportAggregate", **CSV)
async def export_aggregate(member: MemberDep, start: Start = None, end: End = None) -> StreamingResponse:
    """The totals of a period as a CSV file; a second row has those of the period before, when it has both ends."""
    file = await service.write_totals(member.session, Period(start, end))
    return _download(file, member, "aggregate", start, end)


def _days(member: Member, start: datetime.date | None, end: datetime.date | None) -> Days:
    return Days.of(start, end, lambda: member.now.astimezone(ZoneInfo(member.workspace.timezone)).date())


def _download(file: IO[bytes], member: Member, *what: object) -> StreamingResponse:
    """Return a file that is called by the workspace's name and what is in it, in letters that no system minds."""
    words = "-".join(str(word) for word in (member.workspace.name, *what) if word is not None)
    return _Download(file, re.sub("[^a-z0-9]+", "-", words.lower()).strip("-"))


class _Download(StreamingResponse):
    """A CSV file, closed once it is sent or whoever asked for it has gone."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        headers = {
            "Content-Disposition": f'attachment; filename="{name}.csv"',
            "Content-Length": str(file.seek(0, os.SEEK_END)),
            "Cache-Control": "private, no-cache",
        }
        file.seek(0)
        super().__init__(self._pieces(), media_type="text/csv; charset=utf-8", headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        with self._file:
            await super().__call__(scope, receive, send)

    def _pieces(self) -> Iterator[bytes]:
        while piece := self._file.read(SENT_AT_ONCE):
            yield piece

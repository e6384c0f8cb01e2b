"""HTTP for analytics, as JSON for dashboards and as CSV files."""

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

CHUNK_BYTES = 256 * 1024

CampaignId = Annotated[
    str,
    Path(alias="campaignId", max_length=100, pattern=r"^[^\x00]+$", description="A sequence's or a bulk email's id."),
]
OneCampaign = Annotated[
    str | None,
    Query(alias="campaignId", max_length=100, description="Only the messages of one sequence."),
]
CampaignPage = Annotated[PageRequest, Depends(sorted_by(CampaignSort))]
Filters = Annotated[CampaignFilter, Query()]

JSON: dict[str, Any] = {"responses": responses(NotFound, NotBuilt)}
CSV: dict[str, Any] = {
    "response_class": StreamingResponse,
    "responses": responses(NotFound, NotBuilt)
    | {
        200: {
            "content": {"text/csv": {"schema": {"type": "string"}}},
            "description": "RFC 4180. Columns are named as in JSON; null is an empty field.",
        }
    },
}


@router.get("/campaigns", operation_id="listCampaignMetrics", **JSON)
async def list_campaigns(member: MemberDep, page: CampaignPage, filters: Filters) -> Page[CampaignMetrics]:
    """List the figures of the workspace's campaigns."""
    rows, next_cursor = await service.list_campaigns(member.session, member.workspace_id, page, filters)
    return Page[CampaignMetrics].of({"items": rows, "next_cursor": next_cursor})


@router.get("/campaigns.csv", operation_id="exportCampaignMetrics", **CSV)
async def export_campaigns(
    member: MemberDep,
    filters: Filters,
    sort: Annotated[CampaignSort, Query(description="Sort order; `-` for descending.")] = (CampaignSort.NEWEST),
) -> StreamingResponse:
    """Export the figures of all campaigns as a CSV file."""
    file = await service.write_campaigns(member.session, member.workspace_id, filters, sort.value)
    return _download(file, member, "campaigns")


@router.get("/campaigns/{campaignId}", operation_id="getCampaignMetrics", **JSON)
async def get_campaign(member: MemberDep, campaign_id: CampaignId) -> CampaignDetail:
    """Get the figures of one campaign and of each of its steps."""
    return CampaignDetail.of(await service.get_campaign(member.session, member.workspace_id, campaign_id))


@router.get("/campaigns/{campaignId}/steps.csv", operation_id="exportStepMetrics", **CSV)
async def export_steps(member: MemberDep, campaign_id: CampaignId) -> StreamingResponse:
    """Export the figures of a campaign's steps as a CSV file."""
    file = await service.write_steps(member.session, member.workspace_id, campaign_id)
    return _download(file, member, "steps", campaign_id)


@router.get("/timeseries", operation_id="getTimeseries", **JSON)
async def get_timeseries(
    member: MemberDep, start: Start = None, end: End = None, campaign_id: OneCampaign = None
) -> list[DayMetrics]:
    """List the figures of each day, with days without events: the last 30 days, or up to 366 from `start` to `end`."""
    days = _days(member, start, end)
    rows = await service.list_days(member.session, member.workspace_id, days, campaign_id)
    return [DayMetrics.of(row) for row in rows]


@router.get("/timeseries.csv", operation_id="exportTimeseries", **CSV)
async def export_timeseries(
    member: MemberDep, start: Start = None, end: End = None, campaign_id: OneCampaign = None
) -> StreamingResponse:
    """Export the figures of each day as a CSV file."""
    days = _days(member, start, end)
    file = await service.write_days(member.session, member.workspace_id, days, campaign_id)
    return _download(file, member, "timeseries", campaign_id, days.start, days.end)


@router.get("/aggregate", operation_id="getAggregate", **JSON)
async def get_aggregate(member: MemberDep, start: Start = None, end: End = None) -> AggregateMetrics:
    """Get the totals of the messages sent in a period, by default of all messages, and those of the previous period."""
    return AggregateMetrics.of(await service.get_totals(member.session, Period(start, end)))


@router.get("/aggregate.csv", operation_id="exportAggregate", **CSV)
async def export_aggregate(member: MemberDep, start: Start = None, end: End = None) -> StreamingResponse:
    """Export the totals of a period as a CSV file. A period with both ends has a second row for the previous period."""
    file = await service.write_totals(member.session, Period(start, end))
    return _download(file, member, "aggregate", start, end)


def _days(member: Member, start: datetime.date | None, end: datetime.date | None) -> Days:
    return Days.of(start, end, lambda: member.now.astimezone(ZoneInfo(member.workspace.timezone)).date())


def _download(file: IO[bytes], member: Member, *parts: object) -> StreamingResponse:
    """Return a response with a file name of the workspace and `parts`, in letters that every file system accepts."""
    name = "-".join(str(word) for word in (member.workspace.name, *parts) if word is not None)
    return _Download(file, re.sub("[^a-z0-9]+", "-", name.lower()).strip("-"))


class _Download(StreamingResponse):
    """A CSV file, closed after it is sent or the client disconnects."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        headers = {
            "Content-Disposition": f'attachment; filename="{name}.csv"',
            "Content-Length": str(file.seek(0, os.SEEK_END)),
            "Cache-Control": "private, no-cache",
        }
        file.seek(0)
        super().__init__(self._chunks(), media_type="text/csv; charset=utf-8", headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        with self._file:
            await super().__call__(scope, receive, send)

    def _chunks(self) -> Iterator[bytes]:
        while chunk := self._file.read(CHUNK_BYTES):
            yield chunk

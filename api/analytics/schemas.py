"""JSON of analytics. A count is null if the provider does not report it; a rate is null if its denominator is 0."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from api.http.pagination import Filter, Wire

Count = int | None
Rate = float | None
Kind = Literal["sequence", "bulk"]
AsOf = Annotated[datetime, Field(description="Events that arrived until this time are counted.")]
MaybeAsOf = Annotated[
    datetime | None, Field(description="Events that arrived until this time are counted; null when there are none.")
]


class CampaignSort(StrEnum):
    """The sort orders of campaigns. A campaign that was never sent counts as sent before all others."""

    NEWEST = "-createdAt"
    OLDEST = "createdAt"
    LAST_SENT = "-lastSentAt"
    FIRST_SENT = "lastSentAt"
    NAME = "name"
    NAME_DESCENDING = "-name"


class CampaignFilter(Filter):
    """The filters of a list of campaigns. A campaign must match all of them."""

    kind: Kind | None = None
    status: Annotated[str | None, Field(max_length=100, description="The campaign's status, such as `Active`.")] = None
    q: Annotated[str | None, Field(max_length=200, description="Part of the name, in upper or lower case.")] = None


class Rates(Wire):
    """Rates from 0 to 1, as dbt defines them."""

    delivery_rate: Rate = Field(description="delivered / sent")
    bounce_rate: Rate = Field(description="bounced / sent")
    open_rate: Rate = Field(description="opened / opensMeasured")
    human_open_rate: Rate = Field(description="humanOpened / opensMeasured")
    click_rate: Rate = Field(description="clicked / clicksMeasured")
    human_click_rate: Rate = Field(description="humanClicked / clicksMeasured")
    click_to_open_rate: Rate = Field(description="clickedWithOpensMeasured / opened")
    reply_rate: Rate = Field(description="replied / delivered")
    unsubscribe_rate: Rate = Field(description="unsubscribed / delivered")


class Figures(Rates):
    """Counts of messages: each message counts once, except in `opens` and `clicks`, which count every event.

    `human…` and `machine…` are parts of the total. A message may be opened by both, so their sum may be greater.
    """

    sent: int
    delivered: int
    opens_measured: Count = Field(description="Delivered messages whose opens were measured.")
    clicks_measured: Count = Field(description="Delivered messages whose clicks were measured.")
    clicked_with_opens_measured: Count = Field(description="Clicked messages whose opens were measured too.")
    opened: Count
    clicked: Count
    replied: Count
    bounced: Count
    hard_bounced: Count
    soft_bounced: Count
    human_opened: Count
    machine_opened: Count
    opens: Count = Field(description="Every open, with repeats.")
    human_opens: Count
    machine_opens: Count
    human_clicked: Count
    machine_clicked: Count
    clicks: Count = Field(description="Every click, with repeats.")
    human_clicks: Count
    machine_clicks: Count
    unsubscribed: Count
    complained: Count


class CampaignMetrics(Figures):
    """The figures of a campaign: a sequence, or a bulk email of Everlytic."""

    campaign_id: str
    kind: Kind
    sequence_id: UUID | None
    name: str
    status: str | None
    created_at: datetime | None
    first_sent_at: datetime | None
    last_sent_at: datetime | None
    last_activity_at: datetime | None
    as_of: AsOf


class StepMetrics(Figures):
    """The figures of one step. A bulk email has one step, without an id."""

    step_id: UUID | None
    step_order: int = Field(description="The step's place in its sequence now.")


class CampaignDetail(CampaignMetrics):
    """The figures of a campaign and of each of its steps."""

    steps: list[StepMetrics]


class DayMetrics(Wire):
    """The figures of one day in the workspace's timezone. Each event counts on the day it happened."""

    date: date
    sent: int
    delivered: int
    opens_measured: int = Field(description="Messages delivered that day whose opens were measured.")
    clicks_measured: int = Field(description="Messages delivered that day whose clicks were measured.")
    opened: int
    human_opened: int
    machine_opened: int
    clicked: int
    human_clicked: int
    machine_clicked: int
    replied: int
    bounced: int
    hard_bounced: int
    soft_bounced: int
    unsubscribed: int
    complained: Count
    as_of: MaybeAsOf


class TotalMetrics(Figures):
    """The figures of the messages sent in a period."""

    start: date | None
    end: date | None
    as_of: MaybeAsOf


class Change(Figures):
    """The difference of each figure from the previous period. For rates in points: 0.05 from 0.20 to 0.25."""


class AggregateMetrics(TotalMetrics):
    """The totals of a period. If it has both ends, also those of the previous period of equal length."""

    previous: TotalMetrics | None
    change: Change | None = Field(
        description="null if `previous` is null; a figure is null if it is null in either period."
    )

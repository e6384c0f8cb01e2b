"""Figures on the wire. A count is null where the provider does not say; a rate is null where its denominator is 0."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from api.http.pagination import Filter, Wire

Count = int | None
Rate = float | None
Kind = Literal["sequence", "bulk"]
AsOf = Annotated[datetime, Field(description="All that had arrived by then is counted.")]
MaybeAsOf = Annotated[
    datetime | None, Field(description="All that had arrived by then is counted; null when nothing is yet.")
]


class CampaignSort(StrEnum):
    """What a list of campaigns may be sorted by; what never was sent counts as sent before all others."""

    NEWEST = "-createdAt"
    OLDEST = "createdAt"
    LAST_SENT = "-lastSentAt"
    FIRST_SENT = "lastSentAt"
    NAME = "name"
    NAME_DESCENDING = "-name"


class CampaignFilter(Filter):
    """Which campaigns a list is to show; all that is given must hold."""

    kind: Kind | None = None
    status: Annotated[str | None, Field(max_length=100, description="As the campaign shows it, such as `Active`.")] = (
        None
    )
    q: Annotated[str | None, Field(max_length=200, description="Part of a name, in any case.")] = None


class Rates(Wire):
    """Rates from 0 to 1, as dbt defines them."""

    delivery_rate: Rate = Field(description="delivered / sent")
    bounce_rate: Rate = Field(description="bounced / sent")
    open_rate: Rate = Field(description="opened / delivered")
    human_open_rate: Rate = Field(description="humanOpened / delivered")
    click_rate: Rate = Field(description="clicked / delivered")
    human_click_rate: Rate = Field(description="humanClicked / delivered")
    click_to_open_rate: Rate = Field(description="clicked / opened")
    reply_rate: Rate = Field(description="replied / delivered")
    unsubscribe_rate: Rate = Field(description="unsubscribed / delivered")


class Figures(Rates):
    """What became of some messages, each message counted once in a figure; `opens` and `clicks` count every one.

    What people did and what machines did stand beside the total; a message may be opened by both.
    """

    sent: int
    delivered: int
    opened: Count
    clicked: Count
    replied: Count
    bounced: Count
    hard_bounced: Count
    soft_bounced: Count
    human_opened: Count
    machine_opened: Count
    opens: Count = Field(description="With repeats.")
    human_opens: Count
    machine_opens: Count
    human_clicked: Count
    machine_clicked: Count
    clicks: Count = Field(description="With repeats.")
    human_clicks: Count
    machine_clicks: Count
    unsubscribed: Count
    complained: Count


class CampaignMetrics(Figures):
    """What became of a campaign's messages: a sequence of ours, or a bulk email of Everlytic's."""

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
    """What became of the messages of one step; a bulk email is one step, without an id."""

    step_id: UUID | None
    step_order: int = Field(description="The step's place in its sequence now.")


class CampaignDetail(CampaignMetrics):
    """A campaign's figures, also step by step."""

    steps: list[StepMetrics]


class DayMetrics(Wire):
    """What happened on one day of the workspace's timezone; each figure on the day it happened."""

    date: date
    sent: int
    delivered: int
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
    """The messages sent in a period, and what has become of them."""

    start: date | None
    end: date | None
    as_of: MaybeAsOf


class Change(Figures):
    """By how much each figure is greater than in the period before; rates in points, 0.05 from 0.20 to 0.25."""


class AggregateMetrics(TotalMetrics):
    """The totals of a period, beside those of the one of equal length before it when the period has both ends."""

    previous: TotalMetrics | None
    change: Change | None = Field(description="null where `previous` is; a figure of it where either side is null.")

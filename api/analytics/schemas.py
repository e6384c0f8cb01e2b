"""Figures on the wire. A count is null where the provider does not say; a rate is null where its denominator is 0."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from api.pagination import Wire

Count = int | None
Rate = float | None


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


class CampaignMetrics(Rates):
    """What became of a campaign's messages: a sequence of ours, or a bulk email of Everlytic's."""

    campaign_id: str
    kind: Literal["sequence", "bulk"]
    sequence_id: UUID | None
    name: str
    status: str | None
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
    human_clicked: Count
    machine_clicked: Count
    unsubscribed: Count
    complained: Count
    created_at: datetime | None
    first_sent_at: datetime | None
    last_sent_at: datetime | None
    last_activity_at: datetime | None
    as_of: datetime = Field(description="All that had arrived by then is counted.")


class StepMetrics(Rates):
    """What became of the messages of one step; a bulk email is one step."""

    step_order: int
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
    human_clicked: Count
    machine_clicked: Count
    unsubscribed: Count
    complained: Count


class CampaignDetail(CampaignMetrics):
    """A campaign's figures, also step by step; steps that have not sent are left out."""

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
    unsubscribed: int
    complained: Count
    as_of: datetime | None = Field(description="All that had arrived by then is counted; null when nothing is yet.")


class TotalMetrics(Rates):
    """The messages sent in a period, and what has become of them."""

    start: date | None
    end: date | None
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
    as_of: datetime | None = Field(description="All that had arrived by then is counted; null when nothing is yet.")


class AggregateMetrics(TotalMetrics):
    """The totals of a period, and of the one of equal length before it when the period has both ends."""

    previous: TotalMetrics | None

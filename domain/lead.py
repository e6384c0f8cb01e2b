"""The lifecycle of a lead: which event leads from which status to which."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from domain.errors import InvalidTransition


class LeadStatus(StrEnum):
    """Where a lead stands in the funnel."""

    NEW = "New"
    CONTACTED = "Contacted"
    REPLIED = "Replied"
    QUALIFIED = "Qualified"
    UNSUBSCRIBED = "Unsubscribed"


class LeadEvent(StrEnum):
    """What can happen to a lead that moves its status."""

    EMAIL_SENT = "email_sent"
    REPLY_RECEIVED = "reply_received"
    QUALIFIED = "qualified"
    UNSUBSCRIBED = "unsubscribed"


class LeadSegment(StrEnum):
    """The size class of the lead's company."""

    ENTERPRISE = "Enterprise"
    MID_MARKET = "Mid-Market"
    SMB = "SMB"


@dataclass(frozen=True, slots=True)
class SegmentSizes:
    """From how many employees on a company is in the middle market, and an enterprise."""

    mid_market_from: int = 100
    enterprise_from: int = 1000

    def segment_of(self, employees: int) -> LeadSegment:
        """Return the segment of a company of so many employees."""
        if employees >= self.enterprise_from:
            return LeadSegment.ENTERPRISE
        return LeadSegment.MID_MARKET if employees >= self.mid_market_from else LeadSegment.SMB


TRANSITIONS: Mapping[tuple[LeadStatus, LeadEvent], LeadStatus] = {
    (LeadStatus.NEW, LeadEvent.EMAIL_SENT): LeadStatus.CONTACTED,
    (LeadStatus.CONTACTED, LeadEvent.REPLY_RECEIVED): LeadStatus.REPLIED,
    (LeadStatus.REPLIED, LeadEvent.QUALIFIED): LeadStatus.QUALIFIED,
    # The law outranks the funnel: everyone may say no at any time.
    (LeadStatus.NEW, LeadEvent.UNSUBSCRIBED): LeadStatus.UNSUBSCRIBED,
    (LeadStatus.CONTACTED, LeadEvent.UNSUBSCRIBED): LeadStatus.UNSUBSCRIBED,
    (LeadStatus.REPLIED, LeadEvent.UNSUBSCRIBED): LeadStatus.UNSUBSCRIBED,
    (LeadStatus.QUALIFIED, LeadEvent.UNSUBSCRIBED): LeadStatus.UNSUBSCRIBED,
}


def next_status(status: LeadStatus, event: LeadEvent) -> LeadStatus:
    """Return the status after `event`; raises InvalidTransition when the event leads nowhere from `status`."""
    try:
        return TRANSITIONS[(status, event)]
    except KeyError:
        raise InvalidTransition("lead", status, event, sources_of(event)) from None


def sources_of(event: LeadEvent) -> frozenset[LeadStatus]:
    """Return the statuses from which `event` is legal, for the WHERE of the update that moves a lead."""
    return frozenset(status for status, cause in TRANSITIONS if cause == event)

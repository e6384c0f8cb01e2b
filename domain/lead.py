"""The lifecycle of a lead, and the size segment of its company."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from domain.errors import InvalidTransition

MAX_LINE_CHARACTERS = 200
"""The longest name, company or role of a lead."""
MAX_FIELD_NAME_CHARACTERS = 100
"""The longest name of a custom field."""


class LeadStatus(StrEnum):
    """The status of a lead in the funnel."""

    NEW = "New"
    CONTACTED = "Contacted"
    REPLIED = "Replied"
    QUALIFIED = "Qualified"
    UNSUBSCRIBED = "Unsubscribed"


class LeadEvent(StrEnum):
    """The events that change the status of a lead."""

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
class SegmentThresholds:
    """The lowest number of employees of a mid-market company and of an enterprise."""

    mid_market_from: int = 100
    enterprise_from: int = 1000

    def classify(self, employees: int) -> LeadSegment:
        """Return the segment of a company with this number of employees."""
        if employees >= self.enterprise_from:
            return LeadSegment.ENTERPRISE
        return LeadSegment.MID_MARKET if employees >= self.mid_market_from else LeadSegment.SMB


TRANSITIONS: Mapping[tuple[LeadStatus, LeadEvent], LeadStatus] = {
    (LeadStatus.NEW, LeadEvent.EMAIL_SENT): LeadStatus.CONTACTED,
    (LeadStatus.CONTACTED, LeadEvent.REPLY_RECEIVED): LeadStatus.REPLIED,
    (LeadStatus.REPLIED, LeadEvent.QUALIFIED): LeadStatus.QUALIFIED,
    # The law requires that every recipient can unsubscribe at any time.
    (LeadStatus.NEW, LeadEvent.UNSUBSCRIBED): LeadStatus.UNSUBSCRIBED,
    (LeadStatus.CONTACTED, LeadEvent.UNSUBSCRIBED): LeadStatus.UNSUBSCRIBED,
    (LeadStatus.REPLIED, LeadEvent.UNSUBSCRIBED): LeadStatus.UNSUBSCRIBED,
    (LeadStatus.QUALIFIED, LeadEvent.UNSUBSCRIBED): LeadStatus.UNSUBSCRIBED,
}

_ACTIONS: Mapping[LeadEvent, str] = {
    LeadEvent.EMAIL_SENT: "marked as contacted",
    LeadEvent.REPLY_RECEIVED: "marked as replied",
    LeadEvent.QUALIFIED: "qualified",
    LeadEvent.UNSUBSCRIBED: "unsubscribed",
}


def next_status(status: LeadStatus, event: LeadEvent) -> LeadStatus:
    """Return the status after `event`; raises InvalidTransition when the event is illegal in `status`."""
    try:
        return TRANSITIONS[(status, event)]
    except KeyError:
        raise InvalidTransition("lead", status, event, TRANSITIONS, _ACTIONS[event]) from None


def source_statuses(event: LeadEvent) -> frozenset[LeadStatus]:
    """Return the statuses in which `event` is legal, for the WHERE clause of the update."""
    return frozenset(status for status, cause in TRANSITIONS if cause == event)

"""The lifecycle of a draft: one email to one lead that is written, reviewed and sent."""

from collections.abc import Mapping
from enum import StrEnum

from domain.errors import InvalidTransition


class DraftStatus(StrEnum):
    """The status of one email."""

    PENDING = "pending"
    DRAFTED = "drafted"
    REVIEWED = "reviewed"
    SENT = "sent"
    FAILED = "failed"


class DraftEvent(StrEnum):
    """The events that change the status of a draft."""

    WRITTEN = "written"
    WRITTEN_AND_APPROVED = "written_and_approved"
    WRITING_FAILED = "writing_failed"
    APPROVED = "approved"
    REJECTED = "rejected"
    REGENERATED = "regenerated"
    CORRECTED = "corrected"
    CANCELLED = "cancelled"
    BLOCKED = "blocked"
    SEND_REFUSED = "send_refused"
    SENT = "sent"


_S, _E = DraftStatus, DraftEvent

TRANSITIONS: Mapping[tuple[DraftStatus, DraftEvent], DraftStatus] = {
    (_S.PENDING, _E.WRITTEN): _S.DRAFTED,
    (_S.PENDING, _E.WRITTEN_AND_APPROVED): _S.REVIEWED,
    (_S.PENDING, _E.WRITING_FAILED): _S.FAILED,
    (_S.PENDING, _E.CANCELLED): _S.FAILED,
    (_S.DRAFTED, _E.APPROVED): _S.REVIEWED,
    (_S.DRAFTED, _E.REGENERATED): _S.PENDING,
    (_S.DRAFTED, _E.REJECTED): _S.FAILED,
    (_S.DRAFTED, _E.CANCELLED): _S.FAILED,
    (_S.REVIEWED, _E.SENT): _S.SENT,
    (_S.REVIEWED, _E.REGENERATED): _S.PENDING,
    (_S.REVIEWED, _E.REJECTED): _S.FAILED,
    (_S.REVIEWED, _E.CANCELLED): _S.FAILED,
    (_S.REVIEWED, _E.BLOCKED): _S.FAILED,
    (_S.REVIEWED, _E.SEND_REFUSED): _S.FAILED,
    (_S.FAILED, _E.REGENERATED): _S.PENDING,
    # The provider refused the mail for its content, and a user has changed the text.
    (_S.FAILED, _E.CORRECTED): _S.DRAFTED,
    # The provider accepted the mail, so it was sent, whatever was recorded before.
    (_S.FAILED, _E.SENT): _S.SENT,
}

_ACTIONS: Mapping[DraftEvent, str] = {
    _E.WRITTEN: "written",
    _E.WRITTEN_AND_APPROVED: "written",
    _E.WRITING_FAILED: "marked as failed",
    _E.APPROVED: "approved",
    _E.REJECTED: "rejected",
    _E.REGENERATED: "regenerated",
    _E.CORRECTED: "edited",
    _E.CANCELLED: "cancelled",
    _E.BLOCKED: "blocked",
    _E.SEND_REFUSED: "marked as failed",
    _E.SENT: "marked as sent",
}

EDITABLE_STATUSES = frozenset({_S.DRAFTED, _S.REVIEWED})
"""Statuses in which users may edit the text of a draft."""


def next_status(status: DraftStatus, event: DraftEvent) -> DraftStatus:
    """Return the status after `event`; raises InvalidTransition when the event is illegal in `status`."""
    try:
        return TRANSITIONS[(status, event)]
    except KeyError:
        raise InvalidTransition("draft", status, event, TRANSITIONS, _ACTIONS[event]) from None


def source_statuses(event: DraftEvent) -> frozenset[DraftStatus]:
    """Return the statuses in which `event` is legal, for the WHERE clause of the update."""
    return frozenset(status for status, cause in TRANSITIONS if cause == event)

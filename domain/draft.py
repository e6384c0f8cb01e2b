"""The lifecycle of a draft: one email to one lead, written, reviewed, sent."""

from collections.abc import Mapping
from enum import StrEnum

from domain.errors import InvalidTransition


class DraftStatus(StrEnum):
    """How far one email has come."""

    PENDING = "pending"
    DRAFTED = "drafted"
    REVIEWED = "reviewed"
    SENT = "sent"
    FAILED = "failed"


class DraftEvent(StrEnum):
    """What can happen to a draft that moves its status."""

    WRITTEN = "written"
    WRITTEN_AND_APPROVED = "written_and_approved"
    WRITING_FAILED = "writing_failed"
    APPROVED = "approved"
    REJECTED = "rejected"
    REGENERATED = "regenerated"
    CALLED_OFF = "called_off"
    FORBIDDEN = "forbidden"
    SEND_REFUSED = "send_refused"
    SENT = "sent"


_S, _E = DraftStatus, DraftEvent

TRANSITIONS: Mapping[tuple[DraftStatus, DraftEvent], DraftStatus] = {
    (_S.PENDING, _E.WRITTEN): _S.DRAFTED,
    (_S.PENDING, _E.WRITTEN_AND_APPROVED): _S.REVIEWED,
    (_S.PENDING, _E.WRITING_FAILED): _S.FAILED,
    (_S.PENDING, _E.CALLED_OFF): _S.FAILED,
    (_S.DRAFTED, _E.APPROVED): _S.REVIEWED,
    (_S.DRAFTED, _E.REGENERATED): _S.PENDING,
    (_S.DRAFTED, _E.REJECTED): _S.FAILED,
    (_S.DRAFTED, _E.CALLED_OFF): _S.FAILED,
    (_S.REVIEWED, _E.SENT): _S.SENT,
    (_S.REVIEWED, _E.REGENERATED): _S.PENDING,
    (_S.REVIEWED, _E.REJECTED): _S.FAILED,
    (_S.REVIEWED, _E.CALLED_OFF): _S.FAILED,
    (_S.REVIEWED, _E.FORBIDDEN): _S.FAILED,
    (_S.REVIEWED, _E.SEND_REFUSED): _S.FAILED,
    (_S.FAILED, _E.REGENERATED): _S.PENDING,
    # Whatever was concluded before: what the provider took has gone out.
    (_S.FAILED, _E.SENT): _S.SENT,
}

EDITABLE = frozenset({_S.DRAFTED, _S.REVIEWED})
"""Statuses in which a draft has a text that people may still change."""


def next_status(status: DraftStatus, event: DraftEvent) -> DraftStatus:
    """Return the status after `event`; raises InvalidTransition when the event leads nowhere from `status`."""
    try:
        return TRANSITIONS[(status, event)]
    except KeyError:
        raise InvalidTransition("draft", status, event, sources_of(event)) from None


def sources_of(event: DraftEvent) -> frozenset[DraftStatus]:
    """Return the statuses from which `event` is legal, for the WHERE of the update that moves a draft."""
    return frozenset(status for status, cause in TRANSITIONS if cause == event)

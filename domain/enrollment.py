"""The lifecycle of an enrollment: one lead in one sequence."""

from collections.abc import Mapping
from enum import StrEnum

from domain.errors import InvalidTransition


class EnrollmentStatus(StrEnum):
    """The status of a lead in a sequence."""

    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    REPLIED = "replied"
    UNSUBSCRIBED = "unsubscribed"


class EnrollmentEvent(StrEnum):
    """The events that change the status of an enrollment."""

    PAUSED = "paused"
    HARD_BOUNCED = "hard_bounced"
    OUT_OF_OFFICE = "out_of_office"
    REPLY_RECEIVED = "reply_received"
    ALL_STEPS_DONE = "all_steps_done"
    UNSUBSCRIBED = "unsubscribed"
    RESUMED = "resumed"
    STOPPED = "stopped"


_S, _E = EnrollmentStatus, EnrollmentEvent

TRANSITIONS: Mapping[tuple[EnrollmentStatus, EnrollmentEvent], EnrollmentStatus] = {
    (_S.ACTIVE, _E.PAUSED): _S.PAUSED,
    (_S.ACTIVE, _E.HARD_BOUNCED): _S.PAUSED,
    (_S.ACTIVE, _E.OUT_OF_OFFICE): _S.PAUSED,
    (_S.ACTIVE, _E.REPLY_RECEIVED): _S.REPLIED,
    (_S.ACTIVE, _E.ALL_STEPS_DONE): _S.COMPLETED,
    (_S.ACTIVE, _E.STOPPED): _S.COMPLETED,
    (_S.ACTIVE, _E.UNSUBSCRIBED): _S.UNSUBSCRIBED,
    (_S.PAUSED, _E.REPLY_RECEIVED): _S.REPLIED,
    (_S.PAUSED, _E.UNSUBSCRIBED): _S.UNSUBSCRIBED,
    (_S.PAUSED, _E.RESUMED): _S.ACTIVE,
    (_S.PAUSED, _E.STOPPED): _S.COMPLETED,
    (_S.REPLIED, _E.UNSUBSCRIBED): _S.UNSUBSCRIBED,
    (_S.REPLIED, _E.RESUMED): _S.ACTIVE,
    (_S.REPLIED, _E.STOPPED): _S.COMPLETED,
}

_ACTIONS: Mapping[EnrollmentEvent, str] = {
    _E.PAUSED: "paused",
    _E.HARD_BOUNCED: "paused after a hard bounce",
    _E.OUT_OF_OFFICE: "paused after an out-of-office reply",
    _E.REPLY_RECEIVED: "marked as replied",
    _E.ALL_STEPS_DONE: "completed",
    _E.UNSUBSCRIBED: "unsubscribed",
    _E.RESUMED: "resumed",
    _E.STOPPED: "stopped",
}

LIVE_STATUSES = frozenset({_S.ACTIVE, _S.PAUSED, _S.REPLIED})
"""Statuses that can still change; a lead has at most one such enrollment per sequence."""


def next_status(status: EnrollmentStatus, event: EnrollmentEvent) -> EnrollmentStatus:
    """Return the status after `event`; raises InvalidTransition when the event is illegal in `status`."""
    try:
        return TRANSITIONS[(status, event)]
    except KeyError:
        raise InvalidTransition("enrollment", status, event, TRANSITIONS, _ACTIONS[event]) from None


def source_statuses(event: EnrollmentEvent) -> frozenset[EnrollmentStatus]:
    """Return the statuses in which `event` is legal, for the WHERE clause of the update."""
    return frozenset(status for status, cause in TRANSITIONS if cause == event)

"""The lifecycle of an enrollment: a lead's way through one sequence."""

from collections.abc import Mapping
from enum import StrEnum

from domain.errors import InvalidTransition


class EnrollmentStatus(StrEnum):
    """Where a lead stands in a sequence."""

    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    REPLIED = "replied"
    UNSUBSCRIBED = "unsubscribed"


class EnrollmentEvent(StrEnum):
    """What can happen to an enrollment that moves its status."""

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

LIVE = frozenset({_S.ACTIVE, _S.PAUSED, _S.REPLIED})
"""Statuses from which an enrollment can still move; a lead has at most one such enrollment per sequence."""


def next_status(status: EnrollmentStatus, event: EnrollmentEvent) -> EnrollmentStatus:
    """Return the status after `event`; raises InvalidTransition when the event leads nowhere from `status`."""
    try:
        return TRANSITIONS[(status, event)]
    except KeyError:
        raise InvalidTransition("enrollment", status, event, sources_of(event)) from None


def sources_of(event: EnrollmentEvent) -> frozenset[EnrollmentStatus]:
    """Return the statuses from which `event` is legal, for the WHERE of the update that moves an enrollment."""
    return frozenset(status for status, cause in TRANSITIONS if cause == event)

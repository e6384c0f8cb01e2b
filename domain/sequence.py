"""The lifecycle of a sequence: whether it sends."""

from collections.abc import Mapping
from enum import StrEnum

from domain.errors import InvalidTransition


class SequenceStatus(StrEnum):
    """Whether a sequence sends."""

    DRAFT = "Draft"
    ACTIVE = "Active"
    PAUSED = "Paused"


class SequenceEvent(StrEnum):
    """What can happen to a sequence that moves its status."""

    ACTIVATED = "activated"
    PAUSED = "paused"


_S, _E = SequenceStatus, SequenceEvent

TRANSITIONS: Mapping[tuple[SequenceStatus, SequenceEvent], SequenceStatus] = {
    (_S.DRAFT, _E.ACTIVATED): _S.ACTIVE,
    (_S.ACTIVE, _E.PAUSED): _S.PAUSED,
    (_S.PAUSED, _E.ACTIVATED): _S.ACTIVE,
}


def next_status(status: SequenceStatus, event: SequenceEvent) -> SequenceStatus:
    """Return the status after `event`; raises InvalidTransition when the event leads nowhere from `status`."""
    try:
        return TRANSITIONS[(status, event)]
    except KeyError:
        raise InvalidTransition("sequence", status, event, sources_of(event)) from None


def sources_of(event: SequenceEvent) -> frozenset[SequenceStatus]:
    """Return the statuses from which `event` is legal, for the WHERE of the update that moves a sequence."""
    return frozenset(status for status, cause in TRANSITIONS if cause == event)

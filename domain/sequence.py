"""The lifecycle of a sequence: draft, active or paused."""

from collections.abc import Mapping
from enum import StrEnum

from domain.errors import InvalidTransition


class SequenceStatus(StrEnum):
    """The status of a sequence; only an active sequence sends."""

    DRAFT = "Draft"
    ACTIVE = "Active"
    PAUSED = "Paused"


class SequenceEvent(StrEnum):
    """The events that change the status of a sequence."""

    ACTIVATED = "activated"
    PAUSED = "paused"


_S, _E = SequenceStatus, SequenceEvent

TRANSITIONS: Mapping[tuple[SequenceStatus, SequenceEvent], SequenceStatus] = {
    (_S.DRAFT, _E.ACTIVATED): _S.ACTIVE,
    (_S.ACTIVE, _E.PAUSED): _S.PAUSED,
    (_S.PAUSED, _E.ACTIVATED): _S.ACTIVE,
}


def next_status(status: SequenceStatus, event: SequenceEvent) -> SequenceStatus:
    """Return the status after `event`; raises InvalidTransition when the event is illegal in `status`."""
    try:
        return TRANSITIONS[(status, event)]
    except KeyError:
        raise InvalidTransition("sequence", status, event, TRANSITIONS, event.value) from None


def source_statuses(event: SequenceEvent) -> frozenset[SequenceStatus]:
    """Return the statuses in which `event` is legal, for the WHERE clause of the update."""
    return frozenset(status for status, cause in TRANSITIONS if cause == event)

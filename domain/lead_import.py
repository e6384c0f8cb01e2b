"""The lifecycle of an import: an uploaded file that is mapped, committed and undone."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from domain.errors import InvalidTransition

RETENTION = timedelta(days=30)
"""How long a file is stored and can be undone, counted from the upload and, once committed, from the commit."""
LEAD_FIELDS = ("first_name", "last_name", "company", "role", "segment", "timezone")
"""The columns of a lead that a file may fill, besides its address and custom fields."""


def imported_lead_id(first_lead_id: UUID, line_number: int) -> UUID:
    """Return the id of the lead created from a line of a file, as the SQL function `app.imported_lead_id` does."""
    return UUID(int=first_lead_id.int | line_number)


def imported_line(first_lead_id: UUID, lead_id: UUID) -> int | None:
    """Return the line of the file that created the lead, or None when the lead is not from this file."""
    line = lead_id.int - first_lead_id.int
    return line if 0 <= line < 1 << 32 else None


class ImportState(StrEnum):
    """The state of an import."""

    MAPPED = "mapped"
    COMMITTING = "committing"
    COMMITTED = "committed"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"


class ImportEvent(StrEnum):
    """The events that change the state of an import."""

    MAPPING_CHANGED = "mapping_changed"
    COMMIT_STARTED = "commit_started"
    COMMIT_DONE = "commit_done"
    COMMIT_FAILED = "commit_failed"
    UNDO_STARTED = "undo_started"
    UNDO_DONE = "undo_done"


TRANSITIONS: Mapping[tuple[ImportState, ImportEvent], ImportState] = {
    (ImportState.MAPPED, ImportEvent.MAPPING_CHANGED): ImportState.MAPPED,
    (ImportState.MAPPED, ImportEvent.COMMIT_STARTED): ImportState.COMMITTING,
    (ImportState.COMMITTING, ImportEvent.COMMIT_DONE): ImportState.COMMITTED,
    (ImportState.COMMITTING, ImportEvent.COMMIT_FAILED): ImportState.FAILED,
    # A failed import continues where it stopped or is undone. Its mapping must not change, because the rows that are
    # already committed used it.
    (ImportState.FAILED, ImportEvent.COMMIT_STARTED): ImportState.COMMITTING,
    (ImportState.FAILED, ImportEvent.UNDO_STARTED): ImportState.UNDOING,
    (ImportState.COMMITTED, ImportEvent.UNDO_STARTED): ImportState.UNDOING,
    (ImportState.UNDOING, ImportEvent.UNDO_DONE): ImportState.UNDONE,
    (ImportState.UNDONE, ImportEvent.MAPPING_CHANGED): ImportState.MAPPED,
    (ImportState.UNDONE, ImportEvent.COMMIT_STARTED): ImportState.COMMITTING,
}

_ACTIONS: Mapping[ImportEvent, str] = {
    ImportEvent.MAPPING_CHANGED: "mapped",
    ImportEvent.COMMIT_STARTED: "committed",
    ImportEvent.COMMIT_DONE: "marked as committed",
    ImportEvent.COMMIT_FAILED: "marked as failed",
    ImportEvent.UNDO_STARTED: "undone",
    ImportEvent.UNDO_DONE: "marked as undone",
}


def next_state(state: ImportState, event: ImportEvent) -> ImportState:
    """Return the state after `event`; raises InvalidTransition when the event is illegal in `state`."""
    try:
        return TRANSITIONS[(state, event)]
    except KeyError:
        raise InvalidTransition("import", state, event, TRANSITIONS, _ACTIONS[event]) from None


def source_states(event: ImportEvent) -> frozenset[ImportState]:
    """Return the states in which `event` is legal, for the WHERE clause of the update."""
    return frozenset(state for state, cause in TRANSITIONS if cause == event)

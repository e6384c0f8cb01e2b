"""The lifecycle of an import: what can be done with an uploaded file, and for how long."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from domain.errors import InvalidTransition

KEPT = timedelta(days=30)
"""How long a file is kept, and what it did to leads can be undone: counted from the upload, then from the commit."""


def imported_lead_id(first_lead_id: UUID, line_number: int) -> UUID:
    """Return the id of the lead that a line of a file becomes; the database's `app.imported_lead_id` says the same."""
    return UUID(int=first_lead_id.int | line_number)


def imported_line(first_lead_id: UUID, lead_id: UUID) -> int | None:
    """Return the line of a file that became a lead, or None when the lead is from elsewhere."""
    line = lead_id.int - first_lead_id.int
    return line if 0 <= line < 1 << 32 else None


class ImportState(StrEnum):
    """How far a file has come."""

    MAPPED = "mapped"
    COMMITTING = "committing"
    COMMITTED = "committed"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"


class ImportEvent(StrEnum):
    """What can happen to an import."""

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
    # What failed half way goes on where it stopped, or is undone; its mapping stays, or one file would have two.
    (ImportState.FAILED, ImportEvent.COMMIT_STARTED): ImportState.COMMITTING,
    (ImportState.FAILED, ImportEvent.UNDO_STARTED): ImportState.UNDOING,
    (ImportState.COMMITTED, ImportEvent.UNDO_STARTED): ImportState.UNDOING,
    (ImportState.UNDOING, ImportEvent.UNDO_DONE): ImportState.UNDONE,
    (ImportState.UNDONE, ImportEvent.MAPPING_CHANGED): ImportState.MAPPED,
    (ImportState.UNDONE, ImportEvent.COMMIT_STARTED): ImportState.COMMITTING,
}


def next_state(state: ImportState, event: ImportEvent) -> ImportState:
    """Return the state after `event`; raises InvalidTransition when the event leads nowhere from `state`."""
    try:
        return TRANSITIONS[(state, event)]
    except KeyError:
        raise InvalidTransition("import", state, event, sources_of(event)) from None


def sources_of(event: ImportEvent) -> frozenset[ImportState]:
    """Return the states from which `event` is legal, for the WHERE of the update that moves an import."""
    return frozenset(state for state, cause in TRANSITIONS if cause == event)

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidTransition
from domain.lead import LeadSegment, SegmentThresholds
from domain.lead_import import (
    RETENTION,
    TRANSITIONS,
    ImportEvent,
    ImportState,
    imported_lead_id,
    imported_line,
    next_state,
    source_states,
)


@pytest.mark.parametrize("state", ImportState)
@pytest.mark.parametrize("event", ImportEvent)
def test_every_event_in_every_state(state: ImportState, event: ImportEvent) -> None:
    """A transition in the table leads to its target; any other event raises InvalidTransition."""
    if (state, event) in TRANSITIONS:
        assert next_state(state, event) is TRANSITIONS[state, event]
        assert state in source_states(event)
    else:
        assert state not in source_states(event)
        with pytest.raises(InvalidTransition):
            next_state(state, event)


@pytest.mark.parametrize(
    ("state", "event", "message"),
    [
        (ImportState.COMMITTED, ImportEvent.COMMIT_STARTED, "This import has already been committed."),
        (ImportState.UNDONE, ImportEvent.UNDO_STARTED, "This import has already been undone."),
        (ImportState.COMMITTING, ImportEvent.COMMIT_STARTED, "This import is already committing."),
        (ImportState.UNDOING, ImportEvent.MAPPING_CHANGED, "Only imports with status mapped or undone can be mapped."),
    ],
)
def test_a_refusal_says_what_is_possible(state: ImportState, event: ImportEvent, message: str) -> None:
    """The error says that the import already has the state, or names the states that allow the action."""
    with pytest.raises(InvalidTransition) as refusal:
        next_state(state, event)
    assert str(refusal.value) == message


def test_only_the_worker_ends_a_commit_or_an_undo() -> None:
    """While a worker commits or undoes an import, only the end of that work changes its state."""
    for state, allowed_events in (
        (ImportState.COMMITTING, {ImportEvent.COMMIT_DONE, ImportEvent.COMMIT_FAILED}),
        (ImportState.UNDOING, {ImportEvent.UNDO_DONE}),
    ):
        assert {event for source, event in TRANSITIONS if source is state} == allowed_events


def test_the_mapping_changes_only_before_a_commit_or_after_an_undo() -> None:
    """The column mapping may change before a commit and after an undo; a committed or failed import can be undone."""
    assert source_states(ImportEvent.MAPPING_CHANGED) == {ImportState.MAPPED, ImportState.UNDONE}
    assert source_states(ImportEvent.UNDO_STARTED) == {ImportState.COMMITTED, ImportState.FAILED}


@given(
    first=st.integers(0, 2**96 - 1).map(lambda high: UUID(int=high << 32)),
    lines=st.tuples(st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1)),
)
def test_lead_ids_are_in_line_order(first: UUID, lines: tuple[int, int]) -> None:
    """The leads of a file have ids in the order of its lines, and each id contains its line number."""
    ids = [imported_lead_id(first, line) for line in lines]
    assert (ids[0] < ids[1]) is (lines[0] < lines[1])
    assert [lead_id.int - first.int for lead_id in ids] == list(lines)


@pytest.mark.parametrize(
    ("distance", "line"), [(-1, None), (0, 0), (1, 1), (7, 7), (2**32 - 1, 2**32 - 1), (2**32, None), (2**40, None)]
)
def test_a_lead_id_gives_its_line(distance: int, line: int | None) -> None:
    """The 2^32 ids from the first one on belong to the file; ids before and after them do not."""
    first = UUID(int=5 << 32)
    assert imported_line(first, UUID(int=first.int + distance)) == line


def test_a_file_is_stored_for_thirty_days() -> None:
    """The retention of an imported file is thirty days."""
    assert timedelta(days=30) == RETENTION


@pytest.mark.parametrize(
    ("employees", "segment"),
    [(0, "SMB"), (99, "SMB"), (100, "Mid-Market"), (999, "Mid-Market"), (1000, "Enterprise"), (10**9, "Enterprise")],
)
def test_the_default_segment_thresholds(employees: int, segment: str) -> None:
    """By default mid-market starts at 100 employees and enterprise at 1,000."""
    assert SegmentThresholds().classify(employees) == segment


@given(sizes=st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), employees=st.integers(0, 2 * 10**6))
def test_a_threshold_belongs_to_the_larger_segment(sizes: tuple[int, int], employees: int) -> None:
    """With any thresholds, a company exactly at one is in the larger segment, and with one employee fewer is not."""
    mid_market, enterprise = sizes[0], sizes[0] + sizes[1]
    thresholds = SegmentThresholds(mid_market, enterprise)
    assert thresholds.classify(mid_market - 1) is LeadSegment.SMB
    assert thresholds.classify(mid_market) is thresholds.classify(enterprise - 1) is LeadSegment.MID_MARKET
    assert thresholds.classify(enterprise) is LeadSegment.ENTERPRISE
    order = list(reversed(LeadSegment))
    assert order.index(thresholds.classify(employees)) <= order.index(thresholds.classify(employees + 1))

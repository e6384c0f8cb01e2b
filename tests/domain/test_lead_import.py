from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidTransition
from domain.lead import LeadSegment, SegmentSizes
from domain.lead_import import (
    KEPT,
    TRANSITIONS,
    ImportEvent,
    ImportState,
    imported_lead_id,
    imported_line,
    next_state,
    sources_of,
)


@pytest.mark.parametrize("state", ImportState)
@pytest.mark.parametrize("event", ImportEvent)
def test_every_pair(state: ImportState, event: ImportEvent) -> None:
    """A pair in the table leads where it says, any other raises, and the sources of an event are those of the table."""
    if (state, event) in TRANSITIONS:
        assert next_state(state, event) is TRANSITIONS[state, event]
        assert state in sources_of(event)
    else:
        assert state not in sources_of(event)
        with pytest.raises(InvalidTransition):
            next_state(state, event)


def test_what_is_under_way_is_left_alone() -> None:
    """While a worker has an import, only the worker says how it ends."""
    for state, ends in (
        (ImportState.COMMITTING, {ImportEvent.COMMIT_DONE, ImportEvent.COMMIT_FAILED}),
        (ImportState.UNDOING, {ImportEvent.UNDO_DONE}),
    ):
        assert {event for source, event in TRANSITIONS if source is state} == ends


def test_a_mapping_is_settled_only_where_nothing_stands_by_another() -> None:
    """The columns may change before a commit and after its undo, and nowhere between."""
    assert sources_of(ImportEvent.MAPPING_CHANGED) == {ImportState.MAPPED, ImportState.UNDONE}
    assert sources_of(ImportEvent.UNDO_STARTED) == {ImportState.COMMITTED, ImportState.FAILED}


@given(
    first=st.integers(0, 2**96 - 1).map(lambda high: UUID(int=high << 32)),
    lines=st.tuples(st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1)),
)
def test_ids_follow_the_lines(first: UUID, lines: tuple[int, int]) -> None:
    """The leads of a file have ids in the order of its lines, and an id tells its line."""
    ids = [imported_lead_id(first, line) for line in lines]
    assert (ids[0] < ids[1]) is (lines[0] < lines[1])
    assert [one.int - first.int for one in ids] == list(lines)


@pytest.mark.parametrize(
    ("distance", "line"), [(-1, None), (0, 0), (1, 1), (7, 7), (2**32 - 1, 2**32 - 1), (2**32, None), (2**40, None)]
)
def test_an_id_tells_its_line(distance: int, line: int | None) -> None:
    """The ids of 2^32 lines from the first on are of the file; the ids before and behind them are not."""
    first = UUID(int=5 << 32)
    assert imported_line(first, UUID(int=first.int + distance)) == line


def test_a_file_is_kept_for_thirty_days() -> None:
    """A file is kept, and can be undone, for thirty days."""
    assert timedelta(days=30) == KEPT


@pytest.mark.parametrize(
    ("employees", "segment"),
    [(0, "SMB"), (99, "SMB"), (100, "Mid-Market"), (999, "Mid-Market"), (1000, "Enterprise"), (10**9, "Enterprise")],
)
def test_segments_by_size(employees: int, segment: str) -> None:
    """Where nobody says otherwise, the middle market begins at 100 employees and an enterprise at 1,000."""
    assert SegmentSizes().segment_of(employees) == segment


@given(sizes=st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), employees=st.integers(0, 2 * 10**6))
def test_segments_follow_the_sizes(sizes: tuple[int, int], employees: int) -> None:
    """Whatever the sizes, a company of exactly that many employees is of the larger segment, and of one fewer not."""
    middle, enterprise = sizes[0], sizes[0] + sizes[1]
    measured = SegmentSizes(middle, enterprise)
    assert measured.segment_of(middle - 1) is LeadSegment.SMB
    assert measured.segment_of(middle) is measured.segment_of(enterprise - 1) is LeadSegment.MID_MARKET
    assert measured.segment_of(enterprise) is LeadSegment.ENTERPRISE
    order = list(reversed(LeadSegment))
    assert order.index(measured.segment_of(employees)) <= order.index(measured.segment_of(employees + 1))

"""Every event in every state has the result that the tables in the documentation give."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pytest

from domain import draft, enrollment, job, lead, lead_import, sequence
from domain.errors import InvalidTransition
from tests.lifecycles import (
    DRAFT_BEFORE_IT_IS_SENT,
    DRAFT_ON_ITS_WAY,
    ENROLLMENT,
    IMPORT,
    JOB,
    LEAD,
    REFUSED,
    SEQUENCE,
    results_of,
)


@dataclass(frozen=True)
class Lifecycle:
    """A lifecycle of the domain, and the tables with its documented results."""

    noun: str
    states: type[StrEnum]
    events: type[StrEnum]
    apply_event: Callable[[Any, Any], StrEnum]
    source_states: Callable[[Any], Collection[StrEnum]]
    tables: tuple[str, ...]


LIFECYCLES = [
    Lifecycle("lead", lead.LeadStatus, lead.LeadEvent, lead.next_status, lead.source_statuses, (LEAD,)),
    Lifecycle(
        "enrollment",
        enrollment.EnrollmentStatus,
        enrollment.EnrollmentEvent,
        enrollment.next_status,
        enrollment.source_statuses,
        (ENROLLMENT,),
    ),
    Lifecycle(
        "sequence",
        sequence.SequenceStatus,
        sequence.SequenceEvent,
        sequence.next_status,
        sequence.source_statuses,
        (SEQUENCE,),
    ),
    Lifecycle(
        "draft",
        draft.DraftStatus,
        draft.DraftEvent,
        draft.next_status,
        draft.source_statuses,
        (DRAFT_BEFORE_IT_IS_SENT, DRAFT_ON_ITS_WAY),
    ),
    Lifecycle(
        "import",
        lead_import.ImportState,
        lead_import.ImportEvent,
        lead_import.next_state,
        lead_import.source_states,
        (IMPORT,),
    ),
    Lifecycle("job", job.JobStatus, job.JobEvent, job.next_status, job.source_statuses, (JOB,)),
]


@pytest.mark.parametrize("lifecycle", LIFECYCLES, ids=lambda lifecycle: lifecycle.noun)
def test_every_event_in_every_state(lifecycle: Lifecycle) -> None:
    """An event leads to the state in the table, or raises InvalidTransition with a sentence about this noun."""
    results = results_of(*lifecycle.tables)
    assert set(results) == {(state.value, event.value) for state in lifecycle.states for event in lifecycle.events}
    for event in lifecycle.events:
        sources = {state for state in lifecycle.states if results[state.value, event.value] != REFUSED}
        assert lifecycle.source_states(event) == sources
        for state in lifecycle.states:
            if state in sources:
                assert lifecycle.apply_event(state, event).value == results[state.value, event.value], (state, event)
                continue
            with pytest.raises(InvalidTransition) as refusal:
                lifecycle.apply_event(state, event)
            assert (refusal.value.noun, refusal.value.state, refusal.value.event) == (lifecycle.noun, state, event)
            assert str(refusal.value).startswith((f"This {lifecycle.noun} ", f"Only {lifecycle.noun}s with status "))


def test_groups_of_statuses() -> None:
    """Live enrollments, editable drafts and open jobs have the documented statuses."""
    assert {status.value for status in enrollment.LIVE_STATUSES} == {"active", "paused", "replied"}
    assert {status.value for status in draft.EDITABLE_STATUSES} == {"drafted", "reviewed"}
    assert {status.value for status in job.OPEN_STATUSES} == {"pending", "running"}

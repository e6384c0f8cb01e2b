"""Every event in every state moves or is refused as the tables of the documentation say."""

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
    """A lifecycle of the domain beside the table that it is to follow."""

    noun: str
    states: type[StrEnum]
    events: type[StrEnum]
    move: Callable[[Any, Any], StrEnum]
    sources_of: Callable[[Any], Collection[StrEnum]]
    tables: tuple[str, ...]


LIFECYCLES = [
    Lifecycle("lead", lead.LeadStatus, lead.LeadEvent, lead.next_status, lead.sources_of, (LEAD,)),
    Lifecycle(
        "enrollment",
        enrollment.EnrollmentStatus,
        enrollment.EnrollmentEvent,
        enrollment.next_status,
        enrollment.sources_of,
        (ENROLLMENT,),
    ),
    Lifecycle(
        "sequence",
        sequence.SequenceStatus,
        sequence.SequenceEvent,
        sequence.next_status,
        sequence.sources_of,
        (SEQUENCE,),
    ),
    Lifecycle(
        "draft",
        draft.DraftStatus,
        draft.DraftEvent,
        draft.next_status,
        draft.sources_of,
        (DRAFT_BEFORE_IT_IS_SENT, DRAFT_ON_ITS_WAY),
    ),
    Lifecycle(
        "import",
        lead_import.ImportState,
        lead_import.ImportEvent,
        lead_import.next_state,
        lead_import.sources_of,
        (IMPORT,),
    ),
    Lifecycle("job", job.JobStatus, job.JobEvent, job.next_status, job.sources_of, (JOB,)),
]


@pytest.mark.parametrize("lifecycle", LIFECYCLES, ids=lambda lifecycle: lifecycle.noun)
def test_every_event_in_every_state(lifecycle: Lifecycle) -> None:
    """Every state takes every event as the table says: it leads to that state, or is refused with the legal states."""
    results = results_of(*lifecycle.tables)
    assert set(results) == {(state.value, event.value) for state in lifecycle.states for event in lifecycle.events}
    for event in lifecycle.events:
        sources = {state for state in lifecycle.states if results[state.value, event.value] != REFUSED}
        assert lifecycle.sources_of(event) == sources
        for state in lifecycle.states:
            if state in sources:
                assert lifecycle.move(state, event).value == results[state.value, event.value], (state, event)
                continue
            with pytest.raises(InvalidTransition) as refusal:
                lifecycle.move(state, event)
            assert (refusal.value.noun, refusal.value.state, refusal.value.event) == (lifecycle.noun, state, event)
            assert f"cannot take '{event}'" in str(refusal.value)
            assert str(refusal.value).endswith(f"from {', '.join(sorted(sources))}.")


def test_statuses_by_what_may_happen_to_them() -> None:
    """The named groups of statuses are those of the documentation: live enrollments, editable drafts, open jobs."""
    assert {status.value for status in enrollment.LIVE} == {"active", "paused", "replied"}
    assert {status.value for status in draft.EDITABLE} == {"drafted", "reviewed"}
    assert {status.value for status in job.OPEN} == {"pending", "running"}

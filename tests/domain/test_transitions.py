from enum import StrEnum
from types import ModuleType

import pytest

from domain import draft, enrollment, lead, sequence
from domain.draft import EDITABLE_STATUSES, DraftEvent, DraftStatus
from domain.enrollment import LIVE_STATUSES, EnrollmentEvent, EnrollmentStatus
from domain.errors import DomainError, InvalidTransition
from domain.lead import LeadEvent, LeadStatus, SegmentThresholds
from domain.sequence import SequenceEvent, SequenceStatus

MACHINES = [
    pytest.param(lead, LeadStatus, LeadEvent, id="lead"),
    pytest.param(enrollment, EnrollmentStatus, EnrollmentEvent, id="enrollment"),
    pytest.param(sequence, SequenceStatus, SequenceEvent, id="sequence"),
    pytest.param(draft, DraftStatus, DraftEvent, id="draft"),
]


@pytest.mark.parametrize(("machine", "states", "events"), MACHINES)
def test_every_event_in_every_state(machine: ModuleType, states: type[StrEnum], events: type[StrEnum]) -> None:
    """A transition in the table leads to its target; any other event raises InvalidTransition."""
    for state in states:
        for event in events:
            if (state, event) in machine.TRANSITIONS:
                assert machine.next_status(state, event) is machine.TRANSITIONS[(state, event)]
                assert state in machine.source_statuses(event)
            else:
                assert state not in machine.source_statuses(event)
                with pytest.raises(InvalidTransition):
                    machine.next_status(state, event)


@pytest.mark.parametrize(("machine", "states", "events"), MACHINES)
def test_every_event_and_state_is_used(machine: ModuleType, states: type[StrEnum], events: type[StrEnum]) -> None:
    """Every event is legal in some state, and every state can be reached or is the initial one."""
    assert {event for _, event in machine.TRANSITIONS} == set(events)
    initial = {LeadStatus.NEW, EnrollmentStatus.ACTIVE, SequenceStatus.DRAFT, DraftStatus.PENDING}
    reachable = {*machine.TRANSITIONS.values(), *initial}
    assert set(states) <= reachable


def test_every_event_changes_the_state() -> None:
    """No event leads back to its own source state, so zero updated rows mean that another transaction was first."""
    for table in (lead.TRANSITIONS, enrollment.TRANSITIONS, sequence.TRANSITIONS, draft.TRANSITIONS):
        assert all(source != target for (source, _), target in table.items())


def test_a_lead_can_always_unsubscribe() -> None:
    """Unsubscribing is legal in every other status, and no event is legal after it."""
    assert lead.source_statuses(LeadEvent.UNSUBSCRIBED) == set(LeadStatus) - {LeadStatus.UNSUBSCRIBED}
    assert not [state for state, _ in lead.TRANSITIONS if state is LeadStatus.UNSUBSCRIBED]


def test_final_enrollments_cannot_change() -> None:
    """No event is legal for completed and unsubscribed enrollments; the live statuses are all others."""
    assert {state for state, _ in enrollment.TRANSITIONS} == LIVE_STATUSES
    assert set(EnrollmentStatus) - LIVE_STATUSES == {EnrollmentStatus.COMPLETED, EnrollmentStatus.UNSUBSCRIBED}


def test_a_replied_enrollment_can_be_resumed() -> None:
    """A reply stops active and paused enrollments, and resuming makes them active again."""
    assert enrollment.source_statuses(EnrollmentEvent.REPLY_RECEIVED) == {
        EnrollmentStatus.ACTIVE,
        EnrollmentStatus.PAUSED,
    }
    assert enrollment.next_status(EnrollmentStatus.REPLIED, EnrollmentEvent.RESUMED) is EnrollmentStatus.ACTIVE


@pytest.mark.parametrize(
    ("machine", "events"), [pytest.param(machine.values[0], machine.values[2], id=machine.id) for machine in MACHINES]
)
def test_an_event_leads_to_one_status(machine: ModuleType, events: type[StrEnum]) -> None:
    """An event leads to the same status from every source, so that one UPDATE applies it to many rows."""
    for event in events:
        assert len({target for (_, cause), target in machine.TRANSITIONS.items() if cause == event}) == 1


def test_every_live_enrollment_can_be_stopped() -> None:
    """A user can stop every live enrollment, which completes it."""
    assert enrollment.source_statuses(EnrollmentEvent.STOPPED) == LIVE_STATUSES
    assert enrollment.next_status(EnrollmentStatus.REPLIED, EnrollmentEvent.STOPPED) is EnrollmentStatus.COMPLETED


def test_a_sent_draft_cannot_change() -> None:
    """No event is legal for a sent draft; only editable drafts can be approved or rejected."""
    assert not [state for state, _ in draft.TRANSITIONS if state is DraftStatus.SENT]
    assert draft.source_statuses(DraftEvent.REJECTED) == EDITABLE_STATUSES
    assert draft.source_statuses(DraftEvent.APPROVED) < EDITABLE_STATUSES


@pytest.mark.parametrize(
    ("machine", "state", "event", "message"),
    [
        (lead, LeadStatus.NEW, LeadEvent.QUALIFIED, "Only leads with status Replied can be qualified."),
        (lead, LeadStatus.QUALIFIED, LeadEvent.QUALIFIED, "This lead has already been qualified."),
        (sequence, SequenceStatus.ACTIVE, SequenceEvent.ACTIVATED, "This sequence is already active."),
        (sequence, SequenceStatus.DRAFT, SequenceEvent.PAUSED, "Only sequences with status Active can be paused."),
        (
            *(enrollment, EnrollmentStatus.COMPLETED, EnrollmentEvent.RESUMED),
            "Only enrollments with status paused or replied can be resumed.",
        ),
        (
            *(draft, DraftStatus.SENT, DraftEvent.REGENERATED),
            "Only drafts with status drafted, failed or reviewed can be regenerated.",
        ),
        (draft, DraftStatus.FAILED, DraftEvent.REJECTED, "This draft has already failed."),
    ],
)
def test_a_refusal_says_what_is_possible(machine: ModuleType, state: StrEnum, event: StrEnum, message: str) -> None:
    """The error says that the object already has the status, or names the statuses that allow the action."""
    with pytest.raises(DomainError) as refusal:
        machine.next_status(state, event)
    assert str(refusal.value) == message


def test_the_default_thresholds_are_100_and_1000_employees() -> None:
    """Without other thresholds, a company is mid-market from 100 employees and an enterprise from 1,000."""
    sizes = (99, 100, 999, 1000)
    assert [SegmentThresholds().classify(size) for size in sizes] == ["SMB", "Mid-Market", "Mid-Market", "Enterprise"]

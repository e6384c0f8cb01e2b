from enum import StrEnum
from types import ModuleType

import pytest

from domain import draft, enrollment, lead, sequence
from domain.draft import EDITABLE, DraftEvent, DraftStatus
from domain.enrollment import LIVE, EnrollmentEvent, EnrollmentStatus
from domain.errors import DomainError, InvalidTransition
from domain.lead import LeadEvent, LeadStatus
from domain.sequence import SequenceEvent, SequenceStatus

MACHINES = [
    pytest.param(lead, LeadStatus, LeadEvent, id="lead"),
    pytest.param(enrollment, EnrollmentStatus, EnrollmentEvent, id="enrollment"),
    pytest.param(sequence, SequenceStatus, SequenceEvent, id="sequence"),
    pytest.param(draft, DraftStatus, DraftEvent, id="draft"),
]


@pytest.mark.parametrize(("machine", "states", "events"), MACHINES)
def test_every_pair_moves_or_is_refused(machine: ModuleType, states: type[StrEnum], events: type[StrEnum]) -> None:
    """Each (state, event) leads to a state of the table or raises, and sources_of tells the same story."""
    for state in states:
        for event in events:
            if (state, event) in machine.TRANSITIONS:
                assert machine.next_status(state, event) is machine.TRANSITIONS[(state, event)]
                assert state in machine.sources_of(event)
            else:
                assert state not in machine.sources_of(event)
                with pytest.raises(InvalidTransition):
                    machine.next_status(state, event)


@pytest.mark.parametrize(("machine", "states", "events"), MACHINES)
def test_every_event_and_state_is_used(machine: ModuleType, states: type[StrEnum], events: type[StrEnum]) -> None:
    """No event leads nowhere from everywhere, and every state can be reached or is where things start."""
    assert {event for _, event in machine.TRANSITIONS} == set(events)
    starts = {LeadStatus.NEW, EnrollmentStatus.ACTIVE, SequenceStatus.DRAFT, DraftStatus.PENDING}
    reached = {*machine.TRANSITIONS.values(), *starts}
    assert set(states) <= reached


def test_no_event_leaves_a_state_where_it_is() -> None:
    """A move is a move: an event never leads back to the state it came from, so zero updated rows mean a lost race."""
    for table in (lead.TRANSITIONS, enrollment.TRANSITIONS, sequence.TRANSITIONS, draft.TRANSITIONS):
        assert all(source != target for (source, _), target in table.items())


def test_a_lead_may_say_no_from_everywhere() -> None:
    """Unsubscribing is legal from every other state and final."""
    assert lead.sources_of(LeadEvent.UNSUBSCRIBED) == set(LeadStatus) - {LeadStatus.UNSUBSCRIBED}
    assert not [state for state, _ in lead.TRANSITIONS if state is LeadStatus.UNSUBSCRIBED]


def test_final_enrollments_stay_so() -> None:
    """Completed and unsubscribed enrollments take no event; the live ones are exactly those that can move."""
    assert {state for state, _ in enrollment.TRANSITIONS} == LIVE
    assert set(EnrollmentStatus) - LIVE == {EnrollmentStatus.COMPLETED, EnrollmentStatus.UNSUBSCRIBED}


def test_a_reply_is_a_pause_that_can_be_resumed() -> None:
    """A reply ends active and paused ways alike, and resuming leads back to active."""
    assert enrollment.sources_of(EnrollmentEvent.REPLY_RECEIVED) == {EnrollmentStatus.ACTIVE, EnrollmentStatus.PAUSED}
    assert enrollment.next_status(EnrollmentStatus.REPLIED, EnrollmentEvent.RESUMED) is EnrollmentStatus.ACTIVE


@pytest.mark.parametrize(
    ("machine", "events"), [pytest.param(one.values[0], one.values[2], id=one.id) for one in MACHINES]
)
def test_an_event_leads_to_one_status(machine: ModuleType, events: type[StrEnum]) -> None:
    """Wherever it comes from, an event leads to the same status, so that one UPDATE moves all that it is legal for."""
    for event in events:
        assert len({target for (_, cause), target in machine.TRANSITIONS.items() if cause == event}) == 1


def test_stopping_ends_whatever_lives() -> None:
    """A person may end every enrollment that can still move, and it is completed then."""
    assert enrollment.sources_of(EnrollmentEvent.STOPPED) == LIVE
    assert enrollment.next_status(EnrollmentStatus.REPLIED, EnrollmentEvent.STOPPED) is EnrollmentStatus.COMPLETED


def test_what_was_sent_stays_sent() -> None:
    """A sent draft takes no event; only what has a text and was not sent can be edited, approved or rejected."""
    assert not [state for state, _ in draft.TRANSITIONS if state is DraftStatus.SENT]
    assert draft.sources_of(DraftEvent.REJECTED) == EDITABLE
    assert draft.sources_of(DraftEvent.APPROVED) < EDITABLE


def test_a_refusal_says_from_where_it_would_be_possible() -> None:
    """The error names the noun, the state, the event and the legal states."""
    with pytest.raises(DomainError, match="lead that is New cannot take 'qualified'; it is possible from Replied"):
        lead.next_status(LeadStatus.NEW, LeadEvent.QUALIFIED)

import pytest

from domain.errors import InvalidTransition
from domain.job import TRANSITIONS, JobEvent, JobStatus, next_status, source_statuses


@pytest.mark.parametrize("status", JobStatus)
@pytest.mark.parametrize("event", JobEvent)
def test_every_event_in_every_status(status: JobStatus, event: JobEvent) -> None:
    """A transition in the table leads to its target; any other event raises InvalidTransition."""
    if (status, event) in TRANSITIONS:
        assert next_status(status, event) is TRANSITIONS[status, event]
        assert status in source_statuses(event)
    else:
        assert status not in source_statuses(event)
        with pytest.raises(InvalidTransition):
            next_status(status, event)


@pytest.mark.parametrize(
    ("status", "event", "message"),
    [
        (JobStatus.RUNNING, JobEvent.CANCELLED, "Only jobs with status pending can be cancelled."),
        (JobStatus.COMPLETED, JobEvent.RETRIED, "Only jobs with status cancelled or failed can be retried."),
        (JobStatus.CANCELLED, JobEvent.CANCELLED, "This job has already been cancelled."),
        (JobStatus.PENDING, JobEvent.RETRIED, "This job is already pending."),
    ],
)
def test_a_refusal_says_what_is_possible(status: JobStatus, event: JobEvent, message: str) -> None:
    """The error names the statuses that allow the event, or says that the job is already in its target status."""
    with pytest.raises(InvalidTransition) as refusal:
        next_status(status, event)
    assert str(refusal.value) == message


def test_users_cannot_change_running_or_completed_jobs() -> None:
    """No transition of the table starts or ends in running or completed."""
    assert {status for status, _ in TRANSITIONS} == {JobStatus.PENDING, JobStatus.FAILED, JobStatus.CANCELLED}
    assert set(TRANSITIONS.values()) == {JobStatus.PENDING, JobStatus.CANCELLED}

import pytest

from domain.errors import InvalidTransition
from domain.job import TRANSITIONS, JobEvent, JobStatus, next_status, sources_of


@pytest.mark.parametrize("status", JobStatus)
@pytest.mark.parametrize("event", JobEvent)
def test_every_pair(status: JobStatus, event: JobEvent) -> None:
    """A pair in the table leads where it says, any other raises, and the sources of an event are those of the table."""
    if (status, event) in TRANSITIONS:
        assert next_status(status, event) is TRANSITIONS[status, event]
        assert status in sources_of(event)
    else:
        assert status not in sources_of(event)
        with pytest.raises(InvalidTransition, match=f"A job that is {status} cannot take '{event}'"):
            next_status(status, event)


def test_people_touch_nothing_that_runs() -> None:
    """What a worker holds, and what is done, nobody moves by hand."""
    assert {status for status, _ in TRANSITIONS} == {JobStatus.PENDING, JobStatus.FAILED, JobStatus.CANCELLED}
    assert set(TRANSITIONS.values()) == {JobStatus.PENDING, JobStatus.CANCELLED}

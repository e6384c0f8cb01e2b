"""The lifecycle of a background job: users control a part of it, and the job engine makes all other transitions."""

from collections.abc import Mapping
from enum import StrEnum

from domain.errors import InvalidTransition


class JobStatus(StrEnum):
    """The status of a job."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN_STATUSES = frozenset({JobStatus.PENDING, JobStatus.RUNNING})
"""Statuses of a job that has not ended."""


class RunOutcome(StrEnum):
    """How one run of a job ended."""

    COMPLETED = "completed"
    RETRIED = "retried"
    DEFERRED = "deferred"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RELEASED = "released"


class JobEvent(StrEnum):
    """What users can do to a job."""

    RETRIED = "retried"
    CANCELLED = "cancelled"


TRANSITIONS: Mapping[tuple[JobStatus, JobEvent], JobStatus] = {
    (JobStatus.PENDING, JobEvent.CANCELLED): JobStatus.CANCELLED,
    (JobStatus.FAILED, JobEvent.RETRIED): JobStatus.PENDING,
    (JobStatus.CANCELLED, JobEvent.RETRIED): JobStatus.PENDING,
}


def next_status(status: JobStatus, event: JobEvent) -> JobStatus:
    """Return the status after `event`; raises InvalidTransition when the event is illegal in `status`."""
    try:
        return TRANSITIONS[(status, event)]
    except KeyError:
        raise InvalidTransition("job", status, event, TRANSITIONS, event.value) from None


def source_statuses(event: JobEvent) -> frozenset[JobStatus]:
    """Return the statuses in which `event` is legal, for the WHERE clause of the update."""
    return frozenset(status for status, cause in TRANSITIONS if cause == event)

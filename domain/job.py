"""The lifecycle of a piece of background work, as far as people move it; between these moves the engine does."""

from collections.abc import Mapping
from enum import StrEnum

from domain.errors import InvalidTransition


class JobStatus(StrEnum):
    """How far a job has come."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = frozenset({JobStatus.PENDING, JobStatus.RUNNING})
"""Statuses of a job that will still do something."""


class JobEvent(StrEnum):
    """What people can do to a job."""

    RETRIED = "retried"
    CANCELLED = "cancelled"


TRANSITIONS: Mapping[tuple[JobStatus, JobEvent], JobStatus] = {
    (JobStatus.PENDING, JobEvent.CANCELLED): JobStatus.CANCELLED,
    (JobStatus.FAILED, JobEvent.RETRIED): JobStatus.PENDING,
    (JobStatus.CANCELLED, JobEvent.RETRIED): JobStatus.PENDING,
}


def next_status(status: JobStatus, event: JobEvent) -> JobStatus:
    """Return the status after `event`; raises InvalidTransition when the event leads nowhere from `status`."""
    try:
        return TRANSITIONS[(status, event)]
    except KeyError:
        raise InvalidTransition("job", status, event, sources_of(event)) from None


def sources_of(event: JobEvent) -> frozenset[JobStatus]:
    """Return the statuses from which `event` is legal, for the WHERE of the update that moves a job."""
    return frozenset(status for status, cause in TRANSITIONS if cause == event)

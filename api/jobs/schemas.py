"""JSON of jobs. A payload may hold secrets, so only the ids in it are shown."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from api.http.pagination import Wire
from database.models import JobStatus

JobType = Annotated[str, Field(pattern="^[a-z_]{1,100}$")]


@dataclass(frozen=True, slots=True)
class JobFilter:
    """The conditions on jobs; None means no condition. The period includes `since` and excludes `until`."""

    job_type: str | None
    status: JobStatus | None
    since: datetime | None
    until: datetime | None


class JobAbout(Wire):
    """The ids of the resources that a job is about. Which ids there are depends on its type."""

    draft_id: UUID | None = None
    enrollment_id: UUID | None = None
    import_id: UUID | None = None
    lead_id: UUID | None = None
    reply_id: UUID | None = None
    sequence_id: UUID | None = None


class JobOut(Wire):
    """One background job."""

    id: UUID
    job_type: str
    about: JobAbout
    status: JobStatus
    scheduled_for: datetime = Field(description="When the job was scheduled for first; it never changes.")
    run_at: datetime = Field(
        description="When it may run next: later than scheduledFor after a failure or for a rate limit."
    )
    attempts: int
    max_attempts: int
    last_error: str | None
    started_at: datetime | None
    completed_at: datetime | None
    created_at: datetime


class JobsRetry(Wire):
    """The jobs to retry: those of a type with a status, optionally only those scheduled within a period."""

    type: JobType
    status: Literal["failed", "cancelled"] = "failed"
    since: Annotated[AwareDatetime | None, Field(description="Jobs scheduled at this time or later.")] = None
    until: Annotated[AwareDatetime | None, Field(description="Jobs scheduled before this time.")] = None


class JobsRetried(Wire):
    """How many jobs were put back on the queue, and how many more match: call again for those."""

    retried: int
    remaining: int

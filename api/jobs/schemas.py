"""Jobs on the wire; payloads stay inside but for the ids of what a job is about, because some hold secrets."""

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
    """Which jobs are asked for; what is None is not asked. `since` is within the period, `until` is not."""

    job_type: str | None
    status: JobStatus | None
    since: datetime | None
    until: datetime | None


class JobAbout(Wire):
    """What a job is about: ids of the workspace's things, as far as its type has them."""

    draft_id: UUID | None = None
    enrollment_id: UUID | None = None
    import_id: UUID | None = None
    lead_id: UUID | None = None
    reply_id: UUID | None = None
    sequence_id: UUID | None = None


class JobOut(Wire):
    """One piece of background work."""

    id: UUID
    job_type: str
    about: JobAbout
    status: JobStatus
    scheduled_for: datetime = Field(description="When it was asked for; never rewritten.")
    run_at: datetime = Field(description="When it may run next: later than asked for after a failure or a rate limit.")
    attempts: int
    max_attempts: int
    last_error: str | None
    started_at: datetime | None
    completed_at: datetime | None
    created_at: datetime


class JobsRetry(Wire):
    """Which jobs to try again: those of a type that ended so, and were asked for within a period if one is given."""

    type: JobType
    status: Literal["failed", "cancelled"] = "failed"
    since: Annotated[AwareDatetime | None, Field(description="Asked for then or later.")] = None
    until: Annotated[AwareDatetime | None, Field(description="Asked for before then.")] = None


class JobsRetried(Wire):
    """How many jobs wait again, and how many more there are: call again for those."""

    retried: int
    remaining: int

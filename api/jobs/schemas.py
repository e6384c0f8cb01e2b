"""Jobs on the wire; payloads stay inside, because some hold secrets."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from api.pagination import Wire
from database.models import JobStatus


class JobOut(Wire):
    """One piece of background work."""

    id: UUID
    job_type: str
    status: JobStatus
    scheduled_for: datetime = Field(description="When it was asked for; never rewritten.")
    run_at: datetime = Field(description="When it may run next: later than asked for after a failure or a rate limit.")
    attempts: int
    max_attempts: int
    last_error: str | None
    started_at: datetime | None
    completed_at: datetime | None
    created_at: datetime

"""Background jobs: the queue, archived jobs, workers, and rate limits."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Interval, text
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAtMixin, IdMixin, enum_check
from domain.job import JobStatus

PUBLIC_PAYLOAD_FIELDS = {
    "draftId": "draft_id",
    "enrollmentId": "enrollment_id",
    "importId": "import_id",
    "leadId": "lead_id",
    "replyId": "reply_id",
    "sequenceId": "sequence_id",
}
"""The payload fields that the API shows, with their API names; other fields may contain secrets."""


class ScheduledJob(IdMixin, CreatedAtMixin, Base):
    """A background job; the row is both the queue entry and the job that the API shows."""

    __tablename__ = "scheduled_jobs"
    __table_args__ = (
        enum_check("status", JobStatus),
        CheckConstraint("max_attempts > 0", name="max_attempts"),
        Index("ix_scheduled_jobs_due", "job_type", "run_at", "id", postgresql_where=text("status = 'pending'")),
        # The queue of each workspace, for the rotation when many jobs are due.
        Index(
            "ix_scheduled_jobs_lines",
            "job_type",
            "workspace_id",
            "run_at",
            "id",
            postgresql_where=text("status = 'pending'"),
        ),
        # Not on locked_by: with that index the plan for completing jobs took quadratic time.
        Index("ix_scheduled_jobs_running", "id", postgresql_where=text("status = 'running'")),
        Index("uq_scheduled_jobs_dedupe_key", "workspace_id", "job_type", "dedupe_key", unique=True),
        Index("ix_scheduled_jobs_workspace_id_id", "workspace_id", "id"),
        Index("ix_scheduled_jobs_failed", "completed_at", postgresql_where=text("status = 'failed'")),
        # Few rows of very many, which users list to retry them.
        Index(
            "ix_scheduled_jobs_ended_badly",
            "workspace_id",
            "id",
            postgresql_where=text("status IN ('failed', 'cancelled')"),
        ),
        {
            "postgresql_with": {
                "fillfactor": "80",
                "autovacuum_vacuum_scale_factor": "0.02",
                "autovacuum_vacuum_cost_delay": "0",
            }
        },
    )

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    job_type: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    scheduled_for: Mapped[datetime]
    run_at: Mapped[datetime]
    paced: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether its start already counts against the workspace's rate limit; `run_at` is then its slot."""
    status: Mapped[str] = mapped_column(server_default=JobStatus.PENDING)
    attempts: Mapped[int] = mapped_column(server_default="0")
    max_attempts: Mapped[int] = mapped_column(server_default="5")
    last_error: Mapped[str | None]
    dedupe_key: Mapped[str | None]
    locked_by: Mapped[UUID | None]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]

    @property
    def about(self) -> dict[str, str]:
        """The ids in the payload that the API shows, by their API names."""
        return {
            PUBLIC_PAYLOAD_FIELDS[name]: value
            for name, value in self.payload.items()
            if name in PUBLIC_PAYLOAD_FIELDS and value is not None
        }


class ArchivedJob(Base):
    """A completed or cancelled job after it was removed from the queue, with the data that the API shows."""

    __tablename__ = "archived_jobs"
    __table_args__ = (CheckConstraint("status IN ('completed', 'cancelled')", name="status"),)

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    job_type: Mapped[str]
    payload: Mapped[dict[str, Any]]
    """Only the ids that the API shows."""
    scheduled_for: Mapped[datetime]
    run_at: Mapped[datetime]
    status: Mapped[str]
    attempts: Mapped[int]
    max_attempts: Mapped[int]
    last_error: Mapped[str | None]
    started_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    completed_at: Mapped[datetime]


class JobWorker(IdMixin, Base):
    """A worker process and its last heartbeat."""

    __tablename__ = "job_workers"

    host: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    beat_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class WorkspaceLimit(Base):
    """The rate limit of a job type in a workspace: one start per `interval`, up to `burst` at once (GCRA)."""

    __tablename__ = "workspace_limits"
    __table_args__ = (
        CheckConstraint("burst > 0", name="burst"),
        Index("ix_workspace_limits_job_type", "job_type"),
    )

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"), primary_key=True)
    job_type: Mapped[str] = mapped_column(primary_key=True)
    interval: Mapped[timedelta] = mapped_column(Interval)
    burst: Mapped[int] = mapped_column(server_default="1")
    theoretical_arrival_at: Mapped[datetime | None]

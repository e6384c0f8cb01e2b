"""Background work: the queue that is also its public record, what left it, the workers' heartbeats, and the rates."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Interval, text
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, Created, Identified, one_of
from domain.job import JobStatus

SHOWN = {
    "draftId": "draft_id",
    "enrollmentId": "enrollment_id",
    "importId": "import_id",
    "leadId": "lead_id",
    "replyId": "reply_id",
    "sequenceId": "sequence_id",
}
"""What of a payload people may see, and what it is called: ids of their own things. The rest may be a secret."""


class ScheduledJob(Identified, Created, Base):
    """One piece of background work; this row is the queue entry and what people are shown of it."""

    __tablename__ = "scheduled_jobs"
    __table_args__ = (
        one_of("status", JobStatus),
        CheckConstraint("max_attempts > 0", name="max_attempts"),
        Index("ix_scheduled_jobs_due", "job_type", "run_at", "id", postgresql_where=text("status = 'pending'")),
        # Each workspace's own line, for turns when many jobs are due.
        Index(
            "ix_scheduled_jobs_lines",
            "job_type",
            "workspace_id",
            "run_at",
            "id",
            postgresql_where=text("status = 'pending'"),
        ),
        # Not on locked_by: completing by an index on the locker made the plan quadratic.
        Index("ix_scheduled_jobs_running", "id", postgresql_where=text("status = 'running'")),
        Index("uq_scheduled_jobs_dedupe_key", "workspace_id", "job_type", "dedupe_key", unique=True),
        Index("ix_scheduled_jobs_workspace_id_id", "workspace_id", "id"),
        Index("ix_scheduled_jobs_failed", "completed_at", postgresql_where=text("status = 'failed'")),
        # Few among very many, and what people ask for to try it again.
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
    """Whether its start is counted against the workspace's rate already: `run_at` is its slot."""
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
        """The ids of what the job is about, by their names."""
        return {SHOWN[name]: value for name, value in self.payload.items() if name in SHOWN and value is not None}


class ArchivedJob(Base):
    """What people could see of a job that was completed or cancelled, after it has left the queue."""

    __tablename__ = "archived_jobs"
    __table_args__ = (CheckConstraint("status IN ('completed', 'cancelled')", name="status"),)

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    job_type: Mapped[str]
    payload: Mapped[dict[str, Any]]
    """The ids of what it was about, and nothing else."""
    scheduled_for: Mapped[datetime]
    run_at: Mapped[datetime]
    status: Mapped[str]
    attempts: Mapped[int]
    max_attempts: Mapped[int]
    last_error: Mapped[str | None]
    started_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    completed_at: Mapped[datetime]


class JobWorker(Identified, Base):
    """A worker process that says it lives."""

    __tablename__ = "job_workers"

    host: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    beat_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class WorkspaceLimit(Base):
    """How often jobs of one type may start for one workspace: one each `interval`, `burst` at once (GCRA)."""

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

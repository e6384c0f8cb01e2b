"""Sequences, their steps, and the enrollments of leads."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAtMixin, IdMixin, SoftDeleteMixin, TimestampMixin, enum_check
from domain.enrollment import LIVE_STATUSES, EnrollmentEvent, EnrollmentStatus
from domain.sequence import SequenceStatus


class Sequence(IdMixin, TimestampMixin, SoftDeleteMixin, Base):
    """A series of emails to a lead."""

    __tablename__ = "sequences"
    __table_args__ = (enum_check("status", SequenceStatus), Index(None, "workspace_id", "id"))

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    name: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=SequenceStatus.DRAFT)
    auto_approve: Mapped[bool] = mapped_column(server_default=text("false"))
    pause_reason: Mapped[str | None]
    """Why the system paused it; null when a user did."""
    activated_at: Mapped[datetime | None]


class SequenceStep(IdMixin, TimestampMixin, Base):
    """An email of a sequence: its delay after the previous step, and its templates."""

    __tablename__ = "sequence_steps"
    __table_args__ = (
        # Deferred, so that one statement can reorder the steps.
        UniqueConstraint("sequence_id", "step_order", deferrable=True, initially="DEFERRED"),
        CheckConstraint("step_order > 0", name="step_order"),
        CheckConstraint("delay_days >= 0 AND delay_hours >= 0", name="delay"),
        Index(None, "workspace_id"),
    )

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    sequence_id: Mapped[UUID] = mapped_column(ForeignKey("app.sequences.id", ondelete="CASCADE"))
    step_order: Mapped[int]
    delay_days: Mapped[int] = mapped_column(server_default="0")
    delay_hours: Mapped[int] = mapped_column(server_default="0")
    subject: Mapped[str] = mapped_column(server_default="")
    body_template: Mapped[str] = mapped_column(server_default="")


class LeadEnrollment(IdMixin, TimestampMixin, Base):
    """A lead's progress in a sequence; a lead has at most one enrollment in a sequence that has not ended."""

    __tablename__ = "lead_enrollments"
    __table_args__ = (
        enum_check("status", EnrollmentStatus),
        Index(None, "workspace_id", "id"),
        Index(None, "workspace_id", "sequence_id", "status"),
        Index(
            "uq_lead_enrollments_lead_id_sequence_id",
            "lead_id",
            "sequence_id",
            unique=True,
            postgresql_where=text(
                "status IN ({})".format(", ".join(f"'{status}'" for status in sorted(LIVE_STATUSES)))
            ),
        ),
        Index(None, "lead_id"),
    )

    workspace_id: Mapped[UUID]
    """The lead's workspace; without a foreign key, which would slow down bulk enrollment."""
    lead_id: Mapped[UUID] = mapped_column(ForeignKey("app.leads.id", ondelete="CASCADE"))
    sequence_id: Mapped[UUID] = mapped_column(ForeignKey("app.sequences.id", ondelete="CASCADE"))
    current_step_order: Mapped[int]
    status: Mapped[str] = mapped_column(server_default=EnrollmentStatus.ACTIVE)
    pause_reason: Mapped[str | None]
    resume_at: Mapped[datetime | None]
    next_run_at: Mapped[datetime | None]
    enrolled_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]


class EnrollmentEventRecord(IdMixin, CreatedAtMixin, Base):
    """A status change of an enrollment, inserted in the transaction that made it."""

    __tablename__ = "enrollment_events"
    __table_args__ = (enum_check("event", EnrollmentEvent), Index(None, "workspace_id", "enrollment_id", "occurred_at"))

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    enrollment_id: Mapped[UUID] = mapped_column(ForeignKey("app.lead_enrollments.id", ondelete="CASCADE"))
    from_status: Mapped[str]
    to_status: Mapped[str]
    event: Mapped[str]
    cause: Mapped[str]
    occurred_at: Mapped[datetime]

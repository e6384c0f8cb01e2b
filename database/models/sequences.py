"""What is to be said and when: sequences, their steps, and the leads going through them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, Created, Identified, SoftDeleted, Timestamped, one_of
from domain.enrollment import LIVE, EnrollmentEvent, EnrollmentStatus
from domain.sequence import SequenceStatus


class Sequence(Identified, Timestamped, SoftDeleted, Base):
    """A series of emails to one lead."""

    __tablename__ = "sequences"
    __table_args__ = (one_of("status", SequenceStatus), Index(None, "workspace_id", "id"))

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    name: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=SequenceStatus.DRAFT)
    auto_approve: Mapped[bool] = mapped_column(server_default=text("false"))
    pause_reason: Mapped[str | None]
    """Why it was paused where no person did."""
    activated_at: Mapped[datetime | None]


class SequenceStep(Identified, Timestamped, Base):
    """One email of a sequence: how long after the one before, and its templates."""

    __tablename__ = "sequence_steps"
    __table_args__ = (
        # Deferred, so that a reorder is one statement.
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


class LeadEnrollment(Identified, Timestamped, Base):
    """One lead's way through one sequence; at most one that can still move per lead and sequence."""

    __tablename__ = "lead_enrollments"
    __table_args__ = (
        one_of("status", EnrollmentStatus),
        Index(None, "workspace_id", "id"),
        Index(None, "workspace_id", "sequence_id", "status"),
        Index(
            "uq_lead_enrollments_lead_id_sequence_id",
            "lead_id",
            "sequence_id",
            unique=True,
            postgresql_where=text("status IN ({})".format(", ".join(f"'{status}'" for status in sorted(LIVE)))),
        ),
        Index(None, "lead_id"),
    )

    workspace_id: Mapped[UUID]
    """The lead's; without a foreign key of its own, which enrolling many would pay for."""
    lead_id: Mapped[UUID] = mapped_column(ForeignKey("app.leads.id", ondelete="CASCADE"))
    sequence_id: Mapped[UUID] = mapped_column(ForeignKey("app.sequences.id", ondelete="CASCADE"))
    current_step_order: Mapped[int]
    status: Mapped[str] = mapped_column(server_default=EnrollmentStatus.ACTIVE)
    pause_reason: Mapped[str | None]
    resume_at: Mapped[datetime | None]
    next_run_at: Mapped[datetime | None]
    enrolled_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]


class EnrollmentEventRecord(Identified, Created, Base):
    """One move of an enrollment's status, written in the transaction that made it."""

    __tablename__ = "enrollment_events"
    __table_args__ = (one_of("event", EnrollmentEvent), Index(None, "workspace_id", "enrollment_id", "occurred_at"))

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    enrollment_id: Mapped[UUID] = mapped_column(ForeignKey("app.lead_enrollments.id", ondelete="CASCADE"))
    from_status: Mapped[str]
    to_status: Mapped[str]
    event: Mapped[str]
    cause: Mapped[str]
    occurred_at: Mapped[datetime]

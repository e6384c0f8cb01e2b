"""What is written, sent and heard back: drafts, send attempts, events and replies."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, Created, Identified, Timestamped, one_of
from domain.draft import DraftStatus


class SendOutcome(StrEnum):
    """What is known of the one call to the provider."""

    CLAIMED = "claimed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class EmailEventType(StrEnum):
    """What the provider can tell of a message, in our words."""

    SENT = "sent"
    DELIVERED = "delivered"
    OPENED = "opened"
    CLICKED = "clicked"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"


class EmailDraft(Identified, Timestamped, Base):
    """One email to one lead: a step of the sequence, written, reviewed, sent."""

    __tablename__ = "email_drafts"
    __table_args__ = (
        one_of("status", DraftStatus),
        Index("uq_email_drafts_enrollment_id_step_id", "enrollment_id", "step_id", unique=True),
        Index(None, "workspace_id", "status", "id"),
        Index(None, "workspace_id", "sequence_id", "status"),
        Index("ix_email_drafts_sent", "sequence_id", "sent_at", postgresql_where=sql("sent_at IS NOT NULL")),
        Index(None, "lead_id"),
    )

    # Whose these three are, the enrollment says: keys of their own would make enrolling many a third slower.
    workspace_id: Mapped[UUID]
    lead_id: Mapped[UUID]
    sequence_id: Mapped[UUID]
    enrollment_id: Mapped[UUID] = mapped_column(ForeignKey("app.lead_enrollments.id", ondelete="CASCADE"))
    step_id: Mapped[UUID] = mapped_column(ForeignKey("app.sequence_steps.id"))
    step_order: Mapped[int]
    subject: Mapped[str] = mapped_column(server_default="")
    body: Mapped[str] = mapped_column(server_default="")
    body_html: Mapped[str] = mapped_column(server_default="")
    status: Mapped[str] = mapped_column(server_default=DraftStatus.PENDING)
    everlytic_message_id: Mapped[str | None]
    error_reason: Mapped[str | None]
    generation: Mapped[dict[str, Any] | None]
    written: Mapped[dict[str, Any] | None]
    """Subject and body as they were before the first edit by a person."""
    send_at: Mapped[datetime | None]
    """When the schedule wants it to leave; the queue row may run later."""
    sent_at: Mapped[datetime | None]


class SendAttempt(Identified, Created, Base):
    """The one permission to call the provider for a draft, committed before the call."""

    __tablename__ = "send_attempts"
    __table_args__ = (
        one_of("outcome", SendOutcome),
        Index("uq_send_attempts_draft_id", "draft_id", unique=True),
        Index(None, "workspace_id", "claimed_at"),
        Index(None, "recorded_at"),
        Index("ix_send_attempts_unknown", "claimed_at", postgresql_where=sql("outcome = 'unknown'")),
        # Who speaks of a mail may know it by this name alone; a name that fits in no index is nobody's.
        Index(
            "ix_send_attempts_transactions",
            "workspace_id",
            "everlytic_transaction_id",
            postgresql_where=sql("length(everlytic_transaction_id) <= 255"),
        ),
    )

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    draft_id: Mapped[UUID] = mapped_column(ForeignKey("app.email_drafts.id", ondelete="CASCADE"))
    claimed_at: Mapped[datetime]
    job_id: Mapped[UUID | None]
    """Whose claim it is: when that job runs again, the run that claimed was lost."""
    outcome: Mapped[str] = mapped_column(server_default=SendOutcome.CLAIMED)
    everlytic_transaction_id: Mapped[str | None]
    error: Mapped[str | None]
    recorded_at: Mapped[datetime | None]
    """When the outcome became known, by the database's clock."""
    look_ups: Mapped[int] = mapped_column(server_default="0")
    """How often Everlytic's transaction list was asked for a send of unknown outcome, without finding it."""
    looked_up_at: Mapped[datetime | None]


class SendSettlement(Identified, Base):
    """What a person decided about a send whose outcome nobody could find out, and what was known then."""

    __tablename__ = "send_settlements"
    __table_args__ = (
        CheckConstraint("decision IN ('sent', 'not_sent')", name="decision"),
        Index(None, "workspace_id", "draft_id"),
    )

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    draft_id: Mapped[UUID] = mapped_column(ForeignKey("app.email_drafts.id", ondelete="CASCADE"))
    decision: Mapped[str]
    decided_by: Mapped[str]
    note: Mapped[str] = mapped_column(server_default="")
    evidence: Mapped[dict[str, Any]] = mapped_column(server_default=sql("'{}'"))
    decided_at: Mapped[datetime]


class SendSlot(Base):
    """The turn a mail of a workspace with a cap, a rate or a gap has taken: kept for it, or made use of."""

    __tablename__ = "send_slots"
    __table_args__ = (Index(None, "workspace_id", "at"),)

    draft_id: Mapped[UUID] = mapped_column(ForeignKey("app.email_drafts.id", ondelete="CASCADE"), primary_key=True)
    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    domain: Mapped[str]
    """The recipient's, lower case."""
    at: Mapped[datetime]
    """When it is to leave; or left, where it is `made`."""
    made: Mapped[bool] = mapped_column(server_default=sql("false"))


class EmailEvent(Identified, Base):
    """One thing the provider told us of a message, taken once."""

    __tablename__ = "email_events"
    __table_args__ = (
        one_of("type", EmailEventType),
        CheckConstraint("verdict IN ('human', 'machine')", name="verdict"),
        Index("uq_email_events_provider_event_key", "workspace_id", "provider_event_key", unique=True),
        Index(None, "workspace_id", "id"),
        Index(None, "workspace_id", "occurred_at", "id"),
        # What is rare and what people look for; the others are found soon enough in the order they came.
        Index(
            "ix_email_events_stops",
            "workspace_id",
            "type",
            "id",
            postgresql_where=sql("type IN ('bounced', 'complained', 'unsubscribed')"),
        ),
        Index(None, "draft_id"),
        Index(None, "synced_at"),
    )

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    draft_id: Mapped[UUID] = mapped_column(ForeignKey("app.email_drafts.id", ondelete="CASCADE"))
    everlytic_message_id: Mapped[str | None]
    provider_event_key: Mapped[str]
    type: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(server_default=sql("'{}'"))
    verdict: Mapped[str | None]
    verdict_rule: Mapped[str | None]
    occurred_at: Mapped[datetime]
    synced_at: Mapped[datetime] = mapped_column(server_default=sql("now()"))


class Reply(Identified, Timestamped, Base):
    """A message somebody sent back, taken once by its Message-ID, with its intent."""

    __tablename__ = "replies"
    __table_args__ = (
        Index("uq_replies_workspace_id_message_id", "workspace_id", "message_id", unique=True),
        Index(None, "workspace_id", "received_at", "id"),
        Index(None, "enrollment_id"),
        Index(None, "draft_id"),
        Index(None, "lead_id"),
        Index(None, "updated_at"),
        CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence"),
        Index("ix_replies_needs_review", "workspace_id", "id", postgresql_where=sql("needs_review")),
    )

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    lead_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.leads.id", ondelete="CASCADE"))
    enrollment_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.lead_enrollments.id", ondelete="CASCADE"))
    draft_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.email_drafts.id", ondelete="CASCADE"))
    message_id: Mapped[str]
    from_email: Mapped[str]
    subject: Mapped[str] = mapped_column(server_default="")
    text: Mapped[str] = mapped_column(server_default="")
    headers: Mapped[list[dict[str, Any]]] = mapped_column(server_default=sql("'[]'"))
    intent: Mapped[str | None]
    is_automatic: Mapped[bool | None]
    confidence: Mapped[float | None]
    decided_by: Mapped[str | None]
    return_date: Mapped[date | None]
    """The day on which somebody who is away says to be back."""
    needs_review: Mapped[bool] = mapped_column(server_default=sql("false"))
    """Whether neither rules nor a model were sure, so that a person is asked."""
    generation: Mapped[dict[str, Any] | None]
    received_at: Mapped[datetime]


class ReplyCorrection(Identified, Base):
    """What a person made of a reply's label, and what had been made of it before."""

    __tablename__ = "reply_corrections"
    __table_args__ = (Index(None, "workspace_id", "id"), Index(None, "reply_id"))

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    reply_id: Mapped[UUID] = mapped_column(ForeignKey("app.replies.id", ondelete="CASCADE"))
    intent_before: Mapped[str | None]
    is_automatic_before: Mapped[bool | None]
    confidence_before: Mapped[float | None]
    decided_by_before: Mapped[str | None]
    intent: Mapped[str]
    is_automatic: Mapped[bool]
    return_date: Mapped[date | None]
    corrected_by: Mapped[str]
    corrected_at: Mapped[datetime]

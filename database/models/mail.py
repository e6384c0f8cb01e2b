"""Drafts, send attempts, send slots, email events and replies."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAtMixin, IdMixin, TimestampMixin, Xid8, enum_check
from domain.bounce import BounceKind
from domain.draft import DraftStatus

CURRENT_TRANSACTION = sql("pg_current_xact_id()")


class SendOutcome(StrEnum):
    """The known outcome of the call to the provider."""

    CLAIMED = "claimed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class EmailEventType(StrEnum):
    """The type of a provider event."""

    SENT = "sent"
    DELIVERED = "delivered"
    OPENED = "opened"
    CLICKED = "clicked"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"


class EmailDraft(IdMixin, TimestampMixin, Base):
    """An email of a sequence step to a lead, from draft to sent."""

    __tablename__ = "email_drafts"
    __table_args__ = (
        enum_check("status", DraftStatus),
        Index("uq_email_drafts_enrollment_id_step_id", "enrollment_id", "step_id", unique=True),
        Index(None, "workspace_id", "status", "id"),
        Index(None, "workspace_id", "sequence_id", "status"),
        Index("ix_email_drafts_sent", "sequence_id", "sent_at", postgresql_where=sql("sent_at IS NOT NULL")),
        Index(None, "lead_id"),
    )

    # The enrollment has foreign keys for these three; more keys would make bulk enrollment a third slower.
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
    warnings: Mapped[list[str]] = mapped_column(server_default="[]")
    """What is left out of the mail, and why."""
    generation: Mapped[dict[str, Any] | None]
    written: Mapped[dict[str, Any] | None]
    """Subject and body before the first edit by a user."""
    send_at: Mapped[datetime | None]
    """The scheduled send time; the job may run later."""
    sent_at: Mapped[datetime | None]
    template_version: Mapped[str | None]
    """Identifies the text of the step's templates that the draft was written from."""


class SendAttempt(IdMixin, CreatedAtMixin, Base):
    """The permission to call the provider once for a draft, committed before the call."""

    __tablename__ = "send_attempts"
    __table_args__ = (
        enum_check("outcome", SendOutcome),
        Index("uq_send_attempts_draft_id", "draft_id", unique=True),
        Index(None, "workspace_id", "claimed_at"),
        Index(None, "recipient", "workspace_id"),
        Index(None, "recorded_at"),
        Index(None, "written_by"),
        Index("ix_send_attempts_unknown", "claimed_at", postgresql_where=sql("outcome = 'unknown'")),
        # Some provider events identify an email only by this id. A longer value does not fit into an index and is never
        # an id of ours.
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
    """The job that claimed the send; when that job runs again, the run that claimed was lost."""
    outcome: Mapped[str] = mapped_column(server_default=SendOutcome.CLAIMED)
    everlytic_transaction_id: Mapped[str | None]
    error: Mapped[str | None]
    recorded_at: Mapped[datetime | None]
    """When the outcome became known, by the database clock."""
    look_ups: Mapped[int] = mapped_column(server_default="0")
    """How often Everlytic's transaction list was searched for a send of unknown outcome without a match."""
    looked_up_at: Mapped[datetime | None]
    recipient: Mapped[str | None]
    """The canonical address that the mail was sent to, whatever the address of its lead is now."""
    recipient_hash: Mapped[str | None]
    """The hash of an erased recipient, by which an old link still suppresses it."""
    subject: Mapped[str] = mapped_column(server_default="")
    template_version: Mapped[str | None]
    tracks_opens: Mapped[bool] = mapped_column(server_default=sql("true"))
    """Whether the provider was asked to measure the opens of the email."""
    tracks_clicks: Mapped[bool] = mapped_column(server_default=sql("true"))
    link_requested_at: Mapped[datetime | None]
    """When a new unsubscribe link for this mail was last requested."""
    written_by: Mapped[int | None] = mapped_column(Xid8, server_default=CURRENT_TRANSACTION)
    """The transaction that last wrote the row; a trigger sets it on updates."""


class ReleasedClaim(Base):
    """The last released claim of a draft, with what it said about the mail, which may have been sent after all."""

    __tablename__ = "released_claims"
    __table_args__ = (Index(None, "workspace_id"),)

    draft_id: Mapped[UUID] = mapped_column(ForeignKey("app.email_drafts.id", ondelete="CASCADE"), primary_key=True)
    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    claimed_at: Mapped[datetime]
    recipient: Mapped[str | None]
    """As in `SendAttempt`, and the following columns too."""
    recipient_hash: Mapped[str | None]
    subject: Mapped[str] = mapped_column(server_default="")
    template_version: Mapped[str | None]
    tracks_opens: Mapped[bool] = mapped_column(server_default=sql("true"))
    tracks_clicks: Mapped[bool] = mapped_column(server_default=sql("true"))


class SendSettlement(IdMixin, Base):
    """A user's decision about a send of unknown outcome, and the evidence at that time."""

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
    """The send slot of an email in a workspace with a daily cap, a rate or a domain gap: reserved or used."""

    __tablename__ = "send_slots"
    __table_args__ = (Index(None, "workspace_id", "at"),)

    draft_id: Mapped[UUID] = mapped_column(ForeignKey("app.email_drafts.id", ondelete="CASCADE"), primary_key=True)
    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    domain: Mapped[str]
    """The recipient's domain, in lower case."""
    at: Mapped[datetime]
    """The reserved send time, or the actual one when `is_used` is true."""
    is_used: Mapped[bool] = mapped_column(server_default=sql("false"))


class EmailEvent(IdMixin, Base):
    """A provider event of an email, stored once."""

    __tablename__ = "email_events"
    __table_args__ = (
        enum_check("type", EmailEventType),
        CheckConstraint("verdict IN ('human', 'machine')", name="verdict"),
        enum_check("bounce_kind", BounceKind),
        Index("uq_email_events_provider_event_key", "workspace_id", "provider_event_key", unique=True),
        Index(None, "workspace_id", "id"),
        Index(None, "workspace_id", "occurred_at", "id"),
        # Rare types that users filter by; the other types are found quickly by the index on id.
        Index(
            "ix_email_events_stops",
            "workspace_id",
            "type",
            "id",
            postgresql_where=sql("type IN ('bounced', 'complained', 'unsubscribed')"),
        ),
        Index(None, "draft_id"),
        Index(None, "synced_at"),
        Index(None, "written_by"),
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
    bounce_kind: Mapped[str | None]
    """What a bounce is about (domain/bounce.py); null for other events."""
    reported_at: Mapped[datetime | None]
    """The provider's time, if it is impossible and `occurred_at` is the nearest possible time."""
    written_by: Mapped[int | None] = mapped_column(Xid8, server_default=CURRENT_TRANSACTION)
    """As in `SendAttempt`."""


class Reply(IdMixin, TimestampMixin, Base):
    """A received message, stored once, with its intent or what it reports."""

    __tablename__ = "replies"
    __table_args__ = (
        Index("uq_replies_workspace_id_identity_hash", "workspace_id", "identity_hash", unique=True),
        Index(None, "workspace_id", "received_at", "id"),
        Index(None, "enrollment_id"),
        Index(None, "draft_id"),
        Index(None, "lead_id"),
        Index(None, "written_by"),
        CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence"),
        Index("ix_replies_needs_review", "workspace_id", "id", postgresql_where=sql("needs_review")),
        Index(
            "ix_replies_awaiting_review",
            "workspace_id",
            postgresql_where=sql("(needs_review OR intent IS NULL) AND is_automatic IS NOT TRUE"),
        ),
    )

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    lead_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.leads.id", ondelete="CASCADE"))
    enrollment_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.lead_enrollments.id", ondelete="CASCADE"))
    draft_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.email_drafts.id", ondelete="CASCADE"))
    message_id: Mapped[str]
    identity_hash: Mapped[str] = mapped_column(server_default=sql("(app.uuidv7())::text"))
    """A hash of message id, sender and words: what makes two messages one. A message id alone is reused by gateways."""
    from_email: Mapped[str]
    """The author's address; behind a group or list it is not the address in From."""
    subject: Mapped[str] = mapped_column(server_default="")
    text: Mapped[str] = mapped_column(server_default="")
    headers: Mapped[list[dict[str, Any]]] = mapped_column(server_default=sql("'[]'"))
    intent: Mapped[str | None]
    is_automatic: Mapped[bool | None]
    confidence: Mapped[float | None]
    decided_by: Mapped[str | None]
    return_date: Mapped[date | None]
    """The day of return in an out-of-office reply."""
    needs_review: Mapped[bool] = mapped_column(server_default=sql("false"))
    """Whether a user must review the reply, because nothing was confident or for `review_reason`."""
    review_reason: Mapped[str | None]
    report: Mapped[dict[str, Any] | None]
    """What a mail system or a mail program reports: its kind, and what it says about each recipient."""
    generation: Mapped[dict[str, Any] | None]
    received_at: Mapped[datetime]
    written_by: Mapped[int | None] = mapped_column(Xid8, server_default=CURRENT_TRANSACTION)
    """As in `SendAttempt`."""


class ReplyCorrection(IdMixin, Base):
    """A user's correction of a reply's intent, with the previous values."""

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

"""The people to write to: lists, leads, the history of their status, and whom never to mail."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, Created, Identified, SoftDeleted, Timestamped, one_of
from domain.lead import LeadEvent, LeadSegment, LeadStatus
from domain.suppression import SuppressionReason

LIVE = text("deleted_at IS NULL")


class LeadList(Identified, Timestamped, SoftDeleted, Base):
    """A named set of leads, usually one imported file."""

    __tablename__ = "lead_lists"
    __table_args__ = (Index(None, "workspace_id", "id"),)

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    name: Mapped[str]
    source_filename: Mapped[str | None]
    lead_count: Mapped[int] = mapped_column(server_default="0")


class Lead(Identified, Timestamped, SoftDeleted, Base):
    """A person who may be written to; the address is unique among the workspace's live leads."""

    __tablename__ = "leads"
    __table_args__ = (
        one_of("status", LeadStatus),
        one_of("segment", LeadSegment),
        Index(None, "workspace_id", "id", postgresql_where=LIVE),
        Index(None, "workspace_id", "list_id", "id", postgresql_where=LIVE),
        Index("ix_leads_deleted", "workspace_id", "email", postgresql_where=text("deleted_at IS NOT NULL")),
        # One for each order that people may ask for, and for the filter that leaves few.
        *(
            Index(None, "workspace_id", column, "id", postgresql_where=LIVE)
            for column in ("status", "updated_at", "last_name", "company")
        ),
        Index(
            None, "workspace_id", "segment", "id", postgresql_where=text("deleted_at IS NULL AND segment IS NOT NULL")
        ),
        # On the column itself: row-level security lets no index on lower(email) be used, because lower() may leak.
        CheckConstraint("email = lower(email)", name="email"),
        Index("uq_leads_workspace_id_email", "workspace_id", "email", unique=True, postgresql_where=LIVE),
    )

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    list_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.lead_lists.id", ondelete="SET NULL"))
    first_name: Mapped[str] = mapped_column(server_default="")
    last_name: Mapped[str] = mapped_column(server_default="")
    email: Mapped[str]
    company: Mapped[str] = mapped_column(server_default="")
    role: Mapped[str] = mapped_column(server_default="")
    segment: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default=LeadStatus.NEW)
    timezone: Mapped[str | None]
    custom_fields: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    last_activity_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]
    """When all that says who this was has been taken away, for good."""


class LeadEventRecord(Identified, Created, Base):
    """One move of a lead's status, written in the transaction that made it."""

    __tablename__ = "lead_events"
    __table_args__ = (one_of("event", LeadEvent), Index(None, "workspace_id", "lead_id", "occurred_at"))

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    lead_id: Mapped[UUID] = mapped_column(ForeignKey("app.leads.id", ondelete="CASCADE"))
    from_status: Mapped[str]
    to_status: Mapped[str]
    event: Mapped[str]
    cause: Mapped[str]
    occurred_at: Mapped[datetime]


class Suppression(Identified, Created, Base):
    """An address, or a whole domain, that must not be mailed; the hash outlives the plain value."""

    __tablename__ = "suppressions"
    __table_args__ = (
        one_of("reason", SuppressionReason),
        CheckConstraint("(reason = 'domain') = (kind = 'domain')", name="kind_of_reason"),
        CheckConstraint("kind IN ('email', 'domain')", name="kind"),
        Index("uq_suppressions_workspace_id_value_hash", "workspace_id", "value_hash", unique=True),
        Index(None, "workspace_id", "id"),
        Index(None, "workspace_id", "reason", "id"),
    )

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    kind: Mapped[str]
    value: Mapped[str | None]
    value_hash: Mapped[str]
    reason: Mapped[str]
    source: Mapped[str]
    suppressed_at: Mapped[datetime]


class SuppressionRemoval(Identified, Base):
    """A suppression that somebody took back: what it was, who removed it, and why."""

    __tablename__ = "suppression_removals"
    __table_args__ = (
        one_of("reason", SuppressionReason),
        Index(None, "workspace_id", "id"),
        Index(None, "workspace_id", "value_hash"),
    )

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    kind: Mapped[str]
    value: Mapped[str | None]
    value_hash: Mapped[str]
    reason: Mapped[str]
    source: Mapped[str]
    suppressed_at: Mapped[datetime]
    removed_because: Mapped[str]
    removed_by: Mapped[UUID]
    """The user; no foreign key, because the record outlives them."""
    removed_at: Mapped[datetime]

"""Lead lists, leads, status history and suppressions."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, CreatedAtMixin, IdMixin, SoftDeleteMixin, TimestampMixin, enum_check
from domain.lead import LeadEvent, LeadSegment, LeadStatus
from domain.suppression import SuppressionReason, SuppressionScope

NOT_DELETED = text("deleted_at IS NULL")


class LeadList(IdMixin, TimestampMixin, SoftDeleteMixin, Base):
    """A named set of leads, usually one import."""

    __tablename__ = "lead_lists"
    __table_args__ = (Index(None, "workspace_id", "id"),)

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    name: Mapped[str]
    source_filename: Mapped[str | None]
    lead_count: Mapped[int] = mapped_column(server_default="0")


class Lead(IdMixin, TimestampMixin, SoftDeleteMixin, Base):
    """A person to email; the address is unique among the workspace's leads that are not deleted."""

    __tablename__ = "leads"
    __table_args__ = (
        enum_check("status", LeadStatus),
        enum_check("segment", LeadSegment),
        Index(None, "workspace_id", "id", postgresql_where=NOT_DELETED),
        Index(None, "workspace_id", "list_id", "id", postgresql_where=NOT_DELETED),
        Index("ix_leads_deleted", "workspace_id", "email", postgresql_where=text("deleted_at IS NOT NULL")),
        # One index for each sort order of the API, and one for the filter on the segment.
        *(
            Index(None, "workspace_id", column, "id", postgresql_where=NOT_DELETED)
            for column in ("status", "updated_at", "last_name", "company")
        ),
        Index(
            None, "workspace_id", "segment", "id", postgresql_where=text("deleted_at IS NULL AND segment IS NOT NULL")
        ),
        # On the plain column: with row-level security Postgres uses no index on lower(email), which is not leakproof.
        CheckConstraint("email = lower(email)", name="email"),
        Index("uq_leads_workspace_id_email", "workspace_id", "email", unique=True, postgresql_where=NOT_DELETED),
        # The other leads of a person have the key as their address.
        Index(
            "ix_leads_workspace_id_person_key",
            "workspace_id",
            text("app.person_key(email)"),
            postgresql_where=text("app.person_key(email) <> email"),
        ),
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
    """When all personal data of the lead was permanently deleted."""


class LeadEventRecord(IdMixin, CreatedAtMixin, Base):
    """A status change of a lead, inserted in the transaction that made it."""

    __tablename__ = "lead_events"
    __table_args__ = (enum_check("event", LeadEvent), Index(None, "workspace_id", "lead_id", "occurred_at"))

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    lead_id: Mapped[UUID] = mapped_column(ForeignKey("app.leads.id", ondelete="CASCADE"))
    from_status: Mapped[str]
    to_status: Mapped[str]
    event: Mapped[str]
    cause: Mapped[str]
    occurred_at: Mapped[datetime]


class Suppression(IdMixin, CreatedAtMixin, Base):
    """An address or domain that must not be emailed; the hash remains after the plain value is erased."""

    __tablename__ = "suppressions"
    __table_args__ = (
        enum_check("reason", SuppressionReason),
        CheckConstraint("(reason = 'domain') = (kind = 'domain')", name="kind_of_reason"),
        CheckConstraint("kind IN ('email', 'domain')", name="kind"),
        CheckConstraint("kind = 'domain' OR NOT include_subdomains", name="include_subdomains"),
        Index(
            "uq_suppressions_account_id_value_hash_workspace_id",
            "account_id",
            "value_hash",
            "workspace_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        Index(None, "account_id", "id"),
        Index(None, "account_id", "reason", "id"),
        Index("ix_suppressions_subdomains", "account_id", "value_hash", postgresql_where=text("include_subdomains")),
        Index(None, "workspace_id"),
    )

    account_id: Mapped[UUID] = mapped_column(ForeignKey("app.accounts.id", ondelete="CASCADE"))
    workspace_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    """None if it counts for the whole account."""
    kind: Mapped[str]
    value: Mapped[str | None]
    value_hash: Mapped[str]
    include_subdomains: Mapped[bool] = mapped_column(server_default=text("false"))
    reason: Mapped[str]
    source: Mapped[str]
    suppressed_at: Mapped[datetime]

    @property
    def scope(self) -> SuppressionScope:
        """Where it counts."""
        return SuppressionScope.ACCOUNT if self.workspace_id is None else SuppressionScope.WORKSPACE


class SuppressionRemoval(IdMixin, Base):
    """A removed suppression: its values, the user who removed it, and the reason."""

    __tablename__ = "suppression_removals"
    __table_args__ = (
        enum_check("reason", SuppressionReason),
        Index(None, "account_id", "id"),
        Index(None, "account_id", "value_hash"),
        Index(None, "workspace_id"),
    )

    account_id: Mapped[UUID] = mapped_column(ForeignKey("app.accounts.id", ondelete="CASCADE"))
    workspace_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    """None if it counted for the whole account."""
    kind: Mapped[str]
    value: Mapped[str | None]
    value_hash: Mapped[str]
    include_subdomains: Mapped[bool] = mapped_column(server_default=text("false"))
    reason: Mapped[str]
    source: Mapped[str]
    suppressed_at: Mapped[datetime]
    removed_because: Mapped[str]
    removed_by: Mapped[UUID]
    """The user; no foreign key, because this record remains after the user is deleted."""
    removed_at: Mapped[datetime]

    @property
    def scope(self) -> SuppressionScope:
        """Where it counted."""
        return SuppressionScope.ACCOUNT if self.workspace_id is None else SuppressionScope.WORKSPACE

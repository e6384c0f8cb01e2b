"""The provider record: what Everlytic told us, as it told us."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from database.base import PROVIDER_SCHEMA, Base, Identified


class WebhookDelivery(Identified, Base):
    """One pushed request, stored before it is answered and applied afterwards."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_unapplied", "workspace_id", "id", postgresql_where=text("applied_at IS NULL")),
        {"schema": PROVIDER_SCHEMA},
    )

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    content_type: Mapped[str]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]
    error: Mapped[str | None]


class ProviderTransaction(Base):
    """A message as Everlytic's transaction list last showed it, by its own id."""

    __tablename__ = "transactions"
    __table_args__ = (
        Index(None, "workspace_id", "message_id"),
        Index(None, "workspace_id", "group_name"),
        {"schema": PROVIDER_SCHEMA},
    )

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"), primary_key=True)
    transaction_id: Mapped[str] = mapped_column(primary_key=True)
    message_id: Mapped[str | None]
    group_name: Mapped[str | None]
    recipient: Mapped[str | None]
    send_status: Mapped[str | None]
    sent_at: Mapped[datetime | None]
    opens: Mapped[int | None]
    link_clicks: Mapped[int | None]
    bounce_type: Mapped[str | None]
    bounce_reason: Mapped[str | None]
    raw: Mapped[dict[str, Any]]
    synced_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class CallbackEventRecord(Base):
    """An event as Everlytic's callback list shows it, under the key its webhook also has."""

    __tablename__ = "callback_events"
    __table_args__ = (
        Index("ix_callback_events_unapplied", "workspace_id", postgresql_where=text("applied_at IS NULL")),
        # What arrived lately is counted every few minutes.
        Index("ix_callback_events_synced_at", "synced_at", postgresql_using="brin"),
        {"schema": PROVIDER_SCHEMA},
    )

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"), primary_key=True)
    event_key: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    transaction_id: Mapped[str | None]
    message_id: Mapped[str | None]
    recipient: Mapped[str | None]
    group_name: Mapped[str | None]
    occurred_at: Mapped[datetime]
    raw: Mapped[dict[str, Any]]
    synced_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    applied_at: Mapped[datetime | None]
    error: Mapped[str | None]


class CampaignReportRecord(Base):
    """A snapshot of one bulk email's report; a later sync of the same day replaces it."""

    __tablename__ = "campaign_reports"
    __table_args__ = ({"schema": PROVIDER_SCHEMA},)

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"), primary_key=True)
    email_id: Mapped[str] = mapped_column(primary_key=True)
    reported_on: Mapped[date] = mapped_column(primary_key=True)
    name: Mapped[str]
    raw: Mapped[dict[str, Any]]
    synced_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class SyncCursor(Base):
    """How far a resource of one workspace has been polled, and how the last attempt ended."""

    __tablename__ = "sync_cursors"
    __table_args__ = ({"schema": PROVIDER_SCHEMA},)

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"), primary_key=True)
    resource: Mapped[str] = mapped_column(primary_key=True)
    synced_through: Mapped[datetime | None]
    row_count: Mapped[int] = mapped_column(server_default="0")
    error: Mapped[str | None]
    synced_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

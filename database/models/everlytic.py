"""Data received from Everlytic, stored unchanged."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from database.base import PROVIDER_SCHEMA, Base, IdMixin, enum_check
from domain.bounce import BounceKind


class WebhookDelivery(IdMixin, Base):
    """A webhook request, stored before the response and applied later."""

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
    """A message from Everlytic's transaction list, by Everlytic's id."""

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
    """An event from Everlytic's callback list; its webhook has the same key."""

    __tablename__ = "callback_events"
    __table_args__ = (
        Index("ix_callback_events_unapplied", "workspace_id", postgresql_where=text("applied_at IS NULL")),
        # Recent arrivals are counted every few minutes.
        Index("ix_callback_events_synced_at", "synced_at", postgresql_using="brin"),
        enum_check("bounce_kind", BounceKind),
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
    bounce_kind: Mapped[str | None]
    """What a bounce or failure is about (domain/bounce.py); null for other events."""


class CampaignReportRecord(Base):
    """The report of a bulk email; a later sync on the same day replaces it."""

    __tablename__ = "campaign_reports"
    __table_args__ = ({"schema": PROVIDER_SCHEMA},)

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"), primary_key=True)
    email_id: Mapped[str] = mapped_column(primary_key=True)
    reported_on: Mapped[date] = mapped_column(primary_key=True)
    name: Mapped[str]
    raw: Mapped[dict[str, Any]]
    synced_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class SyncCursor(Base):
    """The polling progress of a workspace's resource, and the result of the last attempt."""

    __tablename__ = "sync_cursors"
    __table_args__ = ({"schema": PROVIDER_SCHEMA},)

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"), primary_key=True)
    resource: Mapped[str] = mapped_column(primary_key=True)
    synced_through: Mapped[datetime | None]
    row_count: Mapped[int] = mapped_column(server_default="0")
    error: Mapped[str | None]
    synced_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

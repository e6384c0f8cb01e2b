"""Workspaces with their sending settings, and their Everlytic connections."""

from datetime import date, datetime, time
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, IdMixin, SoftDeleteMixin, TimestampMixin, enum_check
from domain.lead import LeadSegment
from domain.tracking import TrackingSetting


class Workspace(IdMixin, TimestampMixin, SoftDeleteMixin, Base):
    """A tenant, and its sending settings."""

    __tablename__ = "workspaces"
    __table_args__ = (
        Index(None, "account_id"),
        CheckConstraint("window_start < window_end", name="window"),
        CheckConstraint("daily_cap > 0", name="daily_cap"),
        CheckConstraint("cardinality(sending_weekdays) > 0", name="sending_weekdays"),
        CheckConstraint("num_nonnulls(ramp_start, ramp_from, ramp_step) IN (0, 3)", name="ramp"),
        CheckConstraint("ramp_start IS NULL OR daily_cap IS NOT NULL", name="ramp_to"),
        CheckConstraint("ramp_from > 0 AND ramp_step > 0", name="ramp_rises"),
        CheckConstraint("sends_per_minute > 0", name="sends_per_minute"),
        CheckConstraint("domain_gap_seconds > 0", name="domain_gap_seconds"),
        CheckConstraint("unknown_wait_hours > 0", name="unknown_wait_hours"),
        CheckConstraint("guard_sample > 0", name="guard_sample"),
        CheckConstraint("max_bounce_rate BETWEEN 0 AND 1", name="max_bounce_rate"),
        CheckConstraint("complaint_sample > 0", name="complaint_sample"),
        CheckConstraint("max_complaint_rate BETWEEN 0 AND 1", name="max_complaint_rate"),
        CheckConstraint("max_daily_complaints > 0", name="max_daily_complaints"),
        CheckConstraint("0 < mid_market_from AND mid_market_from < enterprise_from", name="segments"),
        CheckConstraint("daily_token_budget >= 0", name="daily_token_budget"),
        enum_check("default_segment", LeadSegment),
        enum_check("tracking", TrackingSetting),
    )

    account_id: Mapped[UUID] = mapped_column(ForeignKey("app.accounts.id", ondelete="CASCADE"))
    name: Mapped[str]
    default_from_name: Mapped[str]
    default_from_email: Mapped[str]
    postal_address: Mapped[str] = mapped_column(server_default="")
    timezone: Mapped[str] = mapped_column(server_default="Africa/Johannesburg")
    window_start: Mapped[time] = mapped_column(server_default=text("'08:00'"))
    window_end: Mapped[time] = mapped_column(server_default=text("'17:00'"))
    sending_weekdays: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger), server_default=text("'{0,1,2,3,4}'"))
    holidays_country: Mapped[str | None] = mapped_column(server_default="ZA")
    daily_cap: Mapped[int | None]
    ramp_start: Mapped[date | None]
    """The first day of a ramp-up: its cap is `ramp_from` emails, and it rises by `ramp_step` on each sending day."""
    ramp_from: Mapped[int | None]
    ramp_step: Mapped[int | None]
    sends_per_minute: Mapped[int | None]
    domain_gap_seconds: Mapped[int | None]
    """The least number of seconds between two emails to the same recipient domain."""
    unknown_wait_hours: Mapped[int] = mapped_column(server_default="24")
    """How long a send of unknown outcome is searched for before a user must decide."""
    guard_sample: Mapped[int] = mapped_column(server_default="200")
    """How many of a sequence's latest emails count for the bounce rate that pauses it."""
    max_bounce_rate: Mapped[float | None] = mapped_column(server_default="0.05")
    complaint_sample: Mapped[int] = mapped_column(server_default="1000")
    """How many of a sequence's latest emails count for the complaint rate that pauses it."""
    max_complaint_rate: Mapped[float | None] = mapped_column(server_default="0.001")
    max_daily_complaints: Mapped[int | None] = mapped_column(server_default="3")
    """As many complaints about a sequence's emails on one day pause it."""
    tracking: Mapped[str] = mapped_column(server_default=TrackingSetting.AUTOMATIC)
    """What is measured of emails."""
    enterprise_from: Mapped[int] = mapped_column(server_default="1000")
    """The number of employees from which a company is an enterprise."""
    mid_market_from: Mapped[int] = mapped_column(server_default="100")
    default_segment: Mapped[str | None]
    """The segment of imported leads whose file has none."""
    voice: Mapped[str] = mapped_column(server_default="")
    """The team's description of its tone, which a model follows."""
    reply_to_email: Mapped[str | None]
    """The address for replies instead of the sender's; each email gets its own subaddress of it."""
    daily_token_budget: Mapped[int | None]
    """The number of tokens per day in the workspace's time zone; above it, rules and templates replace the model."""


class EverlyticConnection(IdMixin, TimestampMixin, Base):
    """A workspace's Everlytic credentials, and the credentials of its webhook."""

    __tablename__ = "everlytic_connections"

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"), unique=True)
    transactional_url: Mapped[str]
    tenant_url: Mapped[str]
    username: Mapped[str]
    encrypted_key: Mapped[str]
    webhook_token_hash: Mapped[str] = mapped_column(unique=True)
    encrypted_webhook_password: Mapped[str]
    webhook_id: Mapped[str | None]
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None]
    failures: Mapped[int] = mapped_column(server_default="0")
    """How many calls to Everlytic in a row failed."""
    blocked_until: Mapped[datetime | None]
    """Nothing is sent before this time (business clock)."""
    blocked_reason: Mapped[str | None]

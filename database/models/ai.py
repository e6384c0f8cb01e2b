"""Requests to language models: usage per day, and reserved tokens."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Numeric
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, IdMixin


class AiUsage(Base):
    """The requests of a workflow to a model on one day in the workspace's time zone."""

    __tablename__ = "ai_usage"

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    workflow: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    requests: Mapped[int] = mapped_column(BigInteger, server_default="0")
    answered: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """How many requests got an answer in the requested format."""
    refused: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """How many requests were not sent, because the day's token budget was used up."""
    tokens_in: Mapped[int] = mapped_column(BigInteger, server_default="0")
    tokens_out: Mapped[int] = mapped_column(BigInteger, server_default="0")
    unpriced: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """How many requests used tokens whose price is unknown."""
    cost: Mapped[Decimal] = mapped_column(Numeric, server_default="0")
    """In USD, for requests whose price is known."""


class AiReservation(IdMixin, Base):
    """Tokens reserved from a day's budget, for a call that runs or whose usage is unknown, until they expire."""

    __tablename__ = "ai_reservations"
    __table_args__ = (Index(None, "workspace_id"),)

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    tokens: Mapped[int]
    expires_at: Mapped[datetime]
    """By the database clock."""

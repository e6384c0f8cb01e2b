"""What models were asked for, and what that took."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Numeric
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, Identified


class AiUsage(Base):
    """What one workflow asked of one model on one day of the workspace's zone."""

    __tablename__ = "ai_usage"

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    workflow: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    asked: Mapped[int] = mapped_column(BigInteger, server_default="0")
    answered: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """How many of those asked gave an answer in the agreed form."""
    refused: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """How many were not asked, because the day's budget was used up."""
    tokens_in: Mapped[int] = mapped_column(BigInteger, server_default="0")
    tokens_out: Mapped[int] = mapped_column(BigInteger, server_default="0")
    unpriced: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """How many of those asked took tokens at a price that is not known."""
    cost: Mapped[Decimal] = mapped_column(Numeric, server_default="0")
    """In USD, of what has a known price."""


class AiReservation(Identified, Base):
    """What a question under way may still take of a day's budget; one that nobody settles stops counting."""

    __tablename__ = "ai_reservations"
    __table_args__ = (Index(None, "workspace_id"),)

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    tokens: Mapped[int]
    expires_at: Mapped[datetime]
    """By the database's clock."""

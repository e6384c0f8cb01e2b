"""The change log behind live queries."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, Xid8


class Change(Base):
    """A statement changed a table for a workspace; triggers insert these rows, and old rows are deleted."""

    __tablename__ = "changes"
    __table_args__ = (Index(None, "transaction_id", "id"), Index(None, "changed_at"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    workspace_id: Mapped[UUID]
    table_name: Mapped[str] = mapped_column(Text)
    transaction_id: Mapped[int] = mapped_column(Xid8, server_default=text("pg_current_xact_id()"))
    changed_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

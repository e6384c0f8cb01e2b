"""Files on their way to becoming leads."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, Identified, Timestamped, one_of


class ImportState(StrEnum):
    """How far a file has come."""

    MAPPED = "mapped"
    COMMITTING = "committing"
    COMMITTED = "committed"
    FAILED = "failed"


class RowOutcome(StrEnum):
    """What became of one row of a file."""

    NEW = "new"
    UPDATED = "updated"
    DUPLICATE = "duplicate"
    SUPPRESSED = "suppressed"
    INVALID = "invalid"


class DuplicatePolicy(StrEnum):
    """What to do with a row whose address is already a lead."""

    SKIP = "skip"
    FILL = "fill"
    OVERWRITE = "overwrite"


class LeadImport(Identified, Timestamped, Base):
    """One uploaded file, the proposed mapping of its columns, and what came of its rows."""

    __tablename__ = "lead_imports"
    __table_args__ = (
        one_of("state", ImportState),
        one_of("duplicate_policy", DuplicatePolicy),
        Index(None, "workspace_id", "id"),
    )

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    list_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.lead_lists.id", ondelete="SET NULL"))
    file_name: Mapped[str]
    state: Mapped[str]
    headers: Mapped[list[str]]
    mapping: Mapped[list[dict[str, Any]]]
    duplicate_policy: Mapped[str] = mapped_column(server_default=DuplicatePolicy.FILL)
    row_count: Mapped[int] = mapped_column(server_default="0")
    new_count: Mapped[int | None]
    updated_count: Mapped[int | None]
    duplicate_count: Mapped[int | None]
    suppressed_count: Mapped[int | None]
    invalid_count: Mapped[int | None]
    error: Mapped[str | None]
    committed_at: Mapped[datetime | None]


class LeadImportRow(Base):
    """One row of an uploaded file: its cells as they were, what was made of them, and what became of it."""

    __tablename__ = "lead_import_rows"
    __table_args__ = (
        CheckConstraint("line_number > 0", name="line_number"),
        one_of("outcome", RowOutcome),
        Index(None, "workspace_id", "import_id"),
    )

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    import_id: Mapped[UUID] = mapped_column(ForeignKey("app.lead_imports.id", ondelete="CASCADE"), primary_key=True)
    line_number: Mapped[int] = mapped_column(primary_key=True)
    cells: Mapped[list[str]] = mapped_column(server_default=text("'[]'"))
    outcome: Mapped[str | None]
    error: Mapped[str | None]
    lead_id: Mapped[UUID | None]

"""Lead imports: uploaded files, their rows, and what a commit changed."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, IdMixin, TimestampMixin, enum_check
from domain.lead_import import ImportState
from domain.suppression import SuppressionReason


class DuplicatePolicy(StrEnum):
    """How an import treats a row whose address belongs to an existing lead."""

    SKIP = "skip"
    FILL = "fill"
    OVERWRITE = "overwrite"


class LeadImport(IdMixin, TimestampMixin, Base):
    """An uploaded file, the mapping of its columns, and the results of its rows."""

    __tablename__ = "lead_imports"
    __table_args__ = (
        enum_check("state", ImportState),
        enum_check("duplicate_policy", DuplicatePolicy),
        Index(None, "workspace_id", "id"),
    )

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    list_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.lead_lists.id", ondelete="SET NULL"))
    """The list of the imported leads, created when the commit starts."""
    list_name: Mapped[str]
    file_name: Mapped[str]
    state: Mapped[str]
    headers: Mapped[list[str]]
    mapping: Mapped[list[dict[str, Any]]]
    encoding: Mapped[dict[str, Any] | None]
    """The name of the text's encoding, whether it is sure, and some cells; null for a workbook."""
    fallback_reason: Mapped[str | None]
    """Why no model mapped the columns that the rules did not map."""
    duplicate_policy: Mapped[str] = mapped_column(server_default=DuplicatePolicy.FILL)
    row_count: Mapped[int] = mapped_column(server_default="0")
    processed_count: Mapped[int] = mapped_column(server_default="0")
    """How many rows the commit or the undo has processed."""
    next_block: Mapped[int] = mapped_column(server_default="0")
    """The block at which the commit or the undo continues."""
    first_lead_id: Mapped[UUID | None]
    """The lead id of line 0; the ids of all lines are computed from it."""
    new_count: Mapped[int | None]
    updated_count: Mapped[int | None]
    duplicate_in_file_count: Mapped[int | None]
    duplicate_in_workspace_count: Mapped[int | None]
    suppressed_count: Mapped[int | None]
    invalid_count: Mapped[int | None]
    opted_out_count: Mapped[int] = mapped_column(server_default="0")
    """How many rows have an address that the file says not to mail."""
    unknown_timezone_count: Mapped[int] = mapped_column(server_default="0")
    """How many rows would be leads and have a time zone that is not clear."""
    removed_count: Mapped[int | None]
    restored_count: Mapped[int | None]
    kept_count: Mapped[int | None]
    error: Mapped[str | None]
    committed_at: Mapped[datetime | None]
    undone_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    """Until when the file is stored and the commit can be undone."""


class LeadImportBlock(Base):
    """A few thousand parsed rows of a file, compressed; see `api.imports.packing`."""

    __tablename__ = "lead_import_blocks"

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    import_id: Mapped[UUID] = mapped_column(ForeignKey("app.lead_imports.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    first_line: Mapped[int]
    last_line: Mapped[int]
    row_count: Mapped[int]
    content: Mapped[bytes]


# Rows and changes have no foreign key to their import: checking it for each of a million rows takes longer than
# inserting them. A trigger deletes them together with the import.


class LeadImportRow(Base):
    """A row of an uploaded file: its address, or the reason why it is invalid."""

    __tablename__ = "lead_import_rows"
    __table_args__ = (
        CheckConstraint("line_number > 0", name="line_number"),
        CheckConstraint("email IS NULL OR problem IS NULL", name="problem"),
        enum_check("opt_out", SuppressionReason),
    )

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    import_id: Mapped[UUID] = mapped_column(primary_key=True)
    line_number: Mapped[int] = mapped_column(primary_key=True)
    """The line on which the row begins, from 1."""
    email: Mapped[str | None]
    problem: Mapped[str | None]
    first_line: Mapped[int | None]
    """The line of an earlier row with the same address."""
    opt_out: Mapped[str | None]
    """Why the file says, in any row with the address, not to mail it."""
    has_unknown_timezone: Mapped[bool] = mapped_column(server_default=sql("false"))
    """Whether the row has a time zone that names no zone or may mean several."""


class LeadImportChange(Base):
    """A change that a commit made to an existing lead, or a lead that an undo did not change and the reason."""

    __tablename__ = "lead_import_changes"
    __table_args__ = (CheckConstraint("kept_because IN ('changed', 'mailed')", name="kept_because"),)

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    import_id: Mapped[UUID] = mapped_column(primary_key=True)
    line_number: Mapped[int] = mapped_column(primary_key=True)
    lead_id: Mapped[UUID]
    before: Mapped[dict[str, Any] | None]
    """The lead's fields before the commit; null for a lead that the import created."""
    changed_at: Mapped[datetime]
    """The lead's `updated_at` after the commit; a different value means that it was changed since."""
    kept_because: Mapped[str | None]


class LeadImportMapping(TimestampMixin, Base):
    """A column mapping that a user chose, for the next file with the same headers."""

    __tablename__ = "lead_import_mappings"

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"), primary_key=True)
    headers_hash: Mapped[str] = mapped_column(primary_key=True)
    columns: Mapped[list[dict[str, Any]]]

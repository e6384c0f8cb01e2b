"""Files on their way to becoming leads."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base, Identified, Timestamped, one_of
from domain.lead_import import ImportState


class DuplicatePolicy(StrEnum):
    """What to do with a row whose address is already a lead."""

    SKIP = "skip"
    FILL = "fill"
    OVERWRITE = "overwrite"


class LeadImport(Identified, Timestamped, Base):
    """One uploaded file, what its columns are taken for, and what came of its rows."""

    __tablename__ = "lead_imports"
    __table_args__ = (
        one_of("state", ImportState),
        one_of("duplicate_policy", DuplicatePolicy),
        Index(None, "workspace_id", "id"),
    )

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"))
    list_id: Mapped[UUID | None] = mapped_column(ForeignKey("app.lead_lists.id", ondelete="SET NULL"))
    """The list that its leads join, made when the commit begins."""
    list_name: Mapped[str]
    file_name: Mapped[str]
    state: Mapped[str]
    headers: Mapped[list[str]]
    mapping: Mapped[list[dict[str, Any]]]
    fallback_reason: Mapped[str | None]
    """Why no model was heard on the columns that the rules left open."""
    duplicate_policy: Mapped[str] = mapped_column(server_default=DuplicatePolicy.FILL)
    row_count: Mapped[int] = mapped_column(server_default="0")
    processed_count: Mapped[int] = mapped_column(server_default="0")
    """How many rows the commit, or the undo, has dealt with."""
    next_block: Mapped[int] = mapped_column(server_default="0")
    """Where the commit, or the undo, goes on."""
    first_lead_id: Mapped[UUID | None]
    """The id of the lead that line 0 would become; those of all lines follow from it."""
    new_count: Mapped[int | None]
    updated_count: Mapped[int | None]
    duplicate_in_file_count: Mapped[int | None]
    duplicate_in_workspace_count: Mapped[int | None]
    suppressed_count: Mapped[int | None]
    invalid_count: Mapped[int | None]
    removed_count: Mapped[int | None]
    restored_count: Mapped[int | None]
    kept_count: Mapped[int | None]
    error: Mapped[str | None]
    committed_at: Mapped[datetime | None]
    undone_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    """Until when the file is kept and its commit can be undone."""


class LeadImportBlock(Base):
    """Some thousand rows of a file as they were read, packed; `api.imports.packing` says how."""

    __tablename__ = "lead_import_blocks"

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    import_id: Mapped[UUID] = mapped_column(ForeignKey("app.lead_imports.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    first_line: Mapped[int]
    last_line: Mapped[int]
    row_count: Mapped[int]
    content: Mapped[bytes]


# Rows and changes have no foreign key to their import: to check it for each of a million rows takes longer than to
# write them. A trigger takes them away with the import instead.


class LeadImportRow(Base):
    """One row of an uploaded file: whom it is about, or why it cannot be used."""

    __tablename__ = "lead_import_rows"
    __table_args__ = (
        CheckConstraint("line_number > 0", name="line_number"),
        CheckConstraint("email IS NULL OR problem IS NULL", name="problem"),
    )

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    import_id: Mapped[UUID] = mapped_column(primary_key=True)
    line_number: Mapped[int] = mapped_column(primary_key=True)
    """Where the row begins in the file, from 1."""
    email: Mapped[str | None]
    problem: Mapped[str | None]
    first_line: Mapped[int | None]
    """The line on which the file has this address already."""


class LeadImportChange(Base):
    """What a commit changed in a lead that was there before; or a lead that an undo left as it found it, and why."""

    __tablename__ = "lead_import_changes"
    __table_args__ = (CheckConstraint("kept_because IN ('changed', 'mailed')", name="kept_because"),)

    workspace_id: Mapped[UUID] = mapped_column(primary_key=True)
    import_id: Mapped[UUID] = mapped_column(primary_key=True)
    line_number: Mapped[int] = mapped_column(primary_key=True)
    lead_id: Mapped[UUID]
    before: Mapped[dict[str, Any] | None]
    """The lead's fields as they were; null for a lead that the import made."""
    changed_at: Mapped[datetime]
    """The lead's `updated_at` since the commit, as long as nobody else has changed it."""
    kept_because: Mapped[str | None]


class LeadImportMapping(Timestamped, Base):
    """What a person said the columns of a file are, for the next file with the same headers."""

    __tablename__ = "lead_import_mappings"

    workspace_id: Mapped[UUID] = mapped_column(ForeignKey("app.workspaces.id", ondelete="CASCADE"), primary_key=True)
    headers_hash: Mapped[str] = mapped_column(primary_key=True)
    columns: Mapped[list[dict[str, Any]]]

"""Imports of a million rows: files in packed blocks, one narrow row per line, and what a commit changed."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from database.tenancy import workspace_policy

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None

STATES = ("mapped", "committing", "committed", "failed", "undoing", "undone")
STATES_BEFORE = STATES[:4]
COUNTS = ("duplicate_in_file", "duplicate_in_workspace", "removed", "restored", "kept")

# What a commit did to a million leads is written without a foreign key on each row; this does that key's work.
FORGET = """
CREATE FUNCTION app.forget_import() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM app.lead_import_rows WHERE workspace_id = OLD.workspace_id AND import_id = OLD.id;
  DELETE FROM app.lead_import_changes WHERE workspace_id = OLD.workspace_id AND import_id = OLD.id;
  RETURN NULL;
END
$$
"""

# RFC 9562: 12 digits of milliseconds, version 7, and at the end the line, so that the leads of a file are created in
# its order and each line's lead is known without being written down.
IMPORTED_LEAD_ID = """
CREATE FUNCTION app.imported_lead_id(first_lead_id uuid, line_number int) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (left(first_lead_id::text, 28) || lpad(to_hex(line_number), 8, '0'))::uuid
$$
"""

# An import outgrows the planner's figures long before autovacuum looks: a workspace of which it knows one lead holds
# thousands, and each lookup of an address reads them all. Only the owner may renew them.
ANALYZE_LEADS = """
CREATE FUNCTION app.analyze_leads() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  ANALYZE app.leads (workspace_id, list_id, email, status, segment, last_name, company, updated_at, deleted_at);
END
$$
"""


def upgrade() -> None:
    """Apply the change."""
    _shape_imports()
    _replace_rows()
    _add_changes()
    _remember_mappings()
    op.execute(FORGET)
    op.execute(
        "CREATE TRIGGER forget_import AFTER DELETE ON app.lead_imports "
        "FOR EACH ROW EXECUTE FUNCTION app.forget_import()"
    )
    op.execute(IMPORTED_LEAD_ID)
    op.execute(ANALYZE_LEADS)
    op.execute("REVOKE ALL ON FUNCTION app.analyze_leads() FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION app.analyze_leads() TO salesmatter_app")
    op.add_column(
        "workspaces", sa.Column("enterprise_from", sa.Integer(), server_default="1000", nullable=False), schema="app"
    )
    op.add_column(
        "workspaces", sa.Column("mid_market_from", sa.Integer(), server_default="100", nullable=False), schema="app"
    )
    op.add_column("workspaces", sa.Column("default_segment", sa.Text()), schema="app")
    op.create_check_constraint(
        op.f("ck_workspaces_segments"),
        "workspaces",
        "0 < mid_market_from AND mid_market_from < enterprise_from",
        schema="app",
    )
    op.create_check_constraint(
        op.f("ck_workspaces_default_segment"),
        "workspaces",
        "default_segment IN ('Enterprise', 'Mid-Market', 'SMB')",
        schema="app",
    )


def _shape_imports() -> None:
    columns: tuple[sa.Column[Any], ...] = (
        sa.Column("list_name", sa.Text(), server_default="", nullable=False),
        sa.Column("fallback_reason", sa.Text()),
        sa.Column("processed_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_block", sa.Integer(), server_default="0", nullable=False),
        sa.Column("first_lead_id", sa.UUID()),
        sa.Column("undone_at", sa.DateTime(timezone=True)),
        # Rows that came in before were kept in another form: their files cannot be committed or undone any more.
        sa.Column("expires_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        *(sa.Column(f"{count}_count", sa.Integer()) for count in COUNTS),
    )
    for column in columns:
        op.add_column("lead_imports", column, schema="app")
    op.execute("UPDATE app.lead_imports SET duplicate_in_workspace_count = duplicate_count, list_name = file_name")
    op.drop_column("lead_imports", "duplicate_count", schema="app")
    for name in ("list_name", "expires_at"):
        op.alter_column("lead_imports", name, server_default=None, schema="app")
    _allow_states(STATES)


def _allow_states(states: tuple[str, ...]) -> None:
    listed = ", ".join(f"'{state}'" for state in states)
    op.drop_constraint(op.f("ck_lead_imports_state"), "lead_imports", schema="app")
    op.create_check_constraint(op.f("ck_lead_imports_state"), "lead_imports", f"state IN ({listed})", schema="app")


def _replace_rows() -> None:
    op.drop_table("lead_import_rows", schema="app")
    op.create_table(
        "lead_import_blocks",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("import_id", sa.UUID(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("first_line", sa.Integer(), nullable=False),
        sa.Column("last_line", sa.Integer(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_id"], ["app.lead_imports.id"], name=op.f("fk_lead_import_blocks_import_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "import_id", "number", name=op.f("pk_lead_import_blocks")),
        schema="app",
    )
    # It is packed already.
    op.execute("ALTER TABLE app.lead_import_blocks ALTER COLUMN content SET STORAGE EXTERNAL")
    op.create_table(
        "lead_import_rows",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("import_id", sa.UUID(), nullable=False),
        sa.Column("line_number", sa.Integer(), nullable=False),
        sa.Column("email", sa.Text()),
        sa.Column("problem", sa.Text()),
        sa.Column("first_line", sa.Integer()),
        sa.CheckConstraint("line_number > 0", name=op.f("ck_lead_import_rows_line_number")),
        sa.CheckConstraint("email IS NULL OR problem IS NULL", name=op.f("ck_lead_import_rows_problem")),
        sa.PrimaryKeyConstraint("workspace_id", "import_id", "line_number", name=op.f("pk_lead_import_rows")),
        schema="app",
    )
    for table in ("app.lead_import_blocks", "app.lead_import_rows"):
        _protect(table)


def _add_changes() -> None:
    op.create_table(
        "lead_import_changes",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("import_id", sa.UUID(), nullable=False),
        sa.Column("line_number", sa.Integer(), nullable=False),
        sa.Column("lead_id", sa.UUID(), nullable=False),
        sa.Column("before", postgresql.JSONB()),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kept_because", sa.Text()),
        sa.CheckConstraint("kept_because IN ('changed', 'mailed')", name=op.f("ck_lead_import_changes_kept_because")),
        sa.PrimaryKeyConstraint("workspace_id", "import_id", "line_number", name=op.f("pk_lead_import_changes")),
        schema="app",
    )
    _protect("app.lead_import_changes")


def _remember_mappings() -> None:
    op.create_table(
        "lead_import_mappings",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("headers_hash", sa.Text(), nullable=False),
        sa.Column("columns", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["app.workspaces.id"],
            name=op.f("fk_lead_import_mappings_workspace_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "headers_hash", name=op.f("pk_lead_import_mappings")),
        schema="app",
    )
    _protect("app.lead_import_mappings")
    op.execute(
        "CREATE TRIGGER touch_updated_at BEFORE UPDATE ON app.lead_import_mappings "
        "FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at()"
    )


def _protect(table: str) -> None:
    for statement in workspace_policy(table):
        op.execute(statement)
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO salesmatter_app")


def downgrade() -> None:
    """Take the change back; rows of files that came in since are lost."""
    for name in ("segments", "default_segment"):
        op.drop_constraint(op.f(f"ck_workspaces_{name}"), "workspaces", schema="app")
    for column in ("default_segment", "mid_market_from", "enterprise_from"):
        op.drop_column("workspaces", column, schema="app")
    op.execute("DROP FUNCTION app.analyze_leads()")
    op.execute("DROP FUNCTION app.imported_lead_id(uuid, int)")
    op.execute("DROP TRIGGER forget_import ON app.lead_imports")
    op.execute("DROP FUNCTION app.forget_import()")
    for table in ("lead_import_mappings", "lead_import_changes", "lead_import_rows", "lead_import_blocks"):
        op.drop_table(table, schema="app")
    op.execute("UPDATE app.lead_imports SET state = 'failed' WHERE state IN ('undoing', 'undone')")
    _allow_states(STATES_BEFORE)
    op.add_column("lead_imports", sa.Column("duplicate_count", sa.Integer()), schema="app")
    op.execute("UPDATE app.lead_imports SET duplicate_count = duplicate_in_file_count + duplicate_in_workspace_count")
    for column in (
        *(f"{count}_count" for count in COUNTS),
        "expires_at",
        "undone_at",
        "first_lead_id",
        "next_block",
        "processed_count",
        "fallback_reason",
        "list_name",
    ):
        op.drop_column("lead_imports", column, schema="app")
    _restore_rows()


def _restore_rows() -> None:
    op.create_table(
        "lead_import_rows",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("import_id", sa.UUID(), nullable=False),
        sa.Column("line_number", sa.Integer(), nullable=False),
        sa.Column("cells", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("outcome", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("lead_id", sa.UUID()),
        sa.CheckConstraint(
            "outcome IN ('new', 'updated', 'duplicate', 'suppressed', 'invalid')",
            name=op.f("ck_lead_import_rows_outcome"),
        ),
        sa.CheckConstraint("line_number > 0", name=op.f("ck_lead_import_rows_line_number")),
        sa.ForeignKeyConstraint(
            ["import_id"], ["app.lead_imports.id"], name=op.f("fk_lead_import_rows_import_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_lead_import_rows_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("import_id", "line_number", name=op.f("pk_lead_import_rows")),
        schema="app",
    )
    op.create_index(
        op.f("ix_lead_import_rows_workspace_id_import_id"),
        "lead_import_rows",
        ["workspace_id", "import_id"],
        schema="app",
    )
    _protect("app.lead_import_rows")

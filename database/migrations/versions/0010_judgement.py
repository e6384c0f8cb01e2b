"""What models and people judge: usage by day, voice and budget of a workspace, corrected replies, mailboxes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from database.tenancy import change_triggers, workspace_policy

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | None = None
depends_on: str | None = None

TABLES = ("ai_reservations", "ai_usage", "mailboxes", "reply_corrections")
SHOWN = ("ai_usage", "mailboxes", "reply_corrections")
APPEND_ONLY = ("reply_corrections",)


def upgrade() -> None:
    """Apply the change."""
    _settings_of_workspaces()
    op.add_column("email_drafts", sa.Column("written", postgresql.JSONB()), schema="app")
    op.add_column("replies", sa.Column("return_date", sa.Date()), schema="app")
    op.add_column("replies", sa.Column("generation", postgresql.JSONB()), schema="app")
    op.add_column(
        "replies", sa.Column("needs_review", sa.Boolean(), server_default=sa.false(), nullable=False), schema="app"
    )
    op.create_index(
        "ix_replies_needs_review",
        "replies",
        ["workspace_id", "id"],
        schema="app",
        postgresql_where=sa.text("needs_review"),
    )
    _corrections()
    _usage()
    _mailboxes()
    for table in TABLES:
        for statement in workspace_policy(f"app.{table}"):
            op.execute(statement)
        granted = "SELECT, INSERT" if table in APPEND_ONLY else "SELECT, INSERT, UPDATE, DELETE"
        op.execute(f"GRANT {granted} ON app.{table} TO salesmatter_app")
    for table in SHOWN:
        for statement in change_triggers(f"app.{table}"):
            op.execute(statement)


def _settings_of_workspaces() -> None:
    op.add_column("workspaces", sa.Column("voice", sa.Text(), server_default="", nullable=False), schema="app")
    op.add_column("workspaces", sa.Column("reply_to_email", sa.Text()), schema="app")
    op.add_column("workspaces", sa.Column("daily_token_budget", sa.Integer()), schema="app")
    op.create_check_constraint(
        op.f("ck_workspaces_daily_token_budget"), "workspaces", "daily_token_budget >= 0", schema="app"
    )


def _corrections() -> None:
    op.create_table(
        "reply_corrections",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("reply_id", sa.UUID(), nullable=False),
        sa.Column("intent_before", sa.Text()),
        sa.Column("is_automatic_before", sa.Boolean()),
        sa.Column("confidence_before", sa.Float()),
        sa.Column("decided_by_before", sa.Text()),
        sa.Column("intent", sa.Text(), nullable=False),
        sa.Column("is_automatic", sa.Boolean(), nullable=False),
        sa.Column("return_date", sa.Date()),
        sa.Column("corrected_by", sa.Text(), nullable=False),
        sa.Column("corrected_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_reply_corrections_workspace_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["reply_id"], ["app.replies.id"], name=op.f("fk_reply_corrections_reply_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reply_corrections")),
        schema="app",
    )
    op.create_index("ix_reply_corrections_workspace_id_id", "reply_corrections", ["workspace_id", "id"], schema="app")
    op.create_index("ix_reply_corrections_reply_id", "reply_corrections", ["reply_id"], schema="app")


def _usage() -> None:
    counts = ("asked", "answered", "refused", "tokens_in", "tokens_out", "unpriced")
    op.create_table(
        "ai_usage",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("workflow", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), server_default="0", nullable=False) for name in counts),
        sa.Column("cost", sa.Numeric(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_ai_usage_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "day", "workflow", "model", name=op.f("pk_ai_usage")),
        schema="app",
    )
    op.create_table(
        "ai_reservations",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_ai_reservations_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ai_reservations")),
        schema="app",
    )
    op.create_index("ix_ai_reservations_workspace_id", "ai_reservations", ["workspace_id"], schema="app")


def _mailboxes() -> None:
    op.create_table(
        "mailboxes",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("security", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("encrypted_password", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), server_default="INBOX", nullable=False),
        sa.Column("uid_validity", sa.BigInteger()),
        sa.Column("last_uid", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("read_since", sa.Date(), nullable=False),
        sa.Column("polled_at", sa.DateTime(timezone=True)),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("refusals", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_error", sa.Text()),
        sa.Column("disabled_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("security IN ('tls', 'starttls', 'none')", name=op.f("ck_mailboxes_security")),
        sa.CheckConstraint("port BETWEEN 1 AND 65535", name=op.f("ck_mailboxes_port")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_mailboxes_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mailboxes")),
        sa.UniqueConstraint("workspace_id", name=op.f("uq_mailboxes_workspace_id")),
        schema="app",
    )
    op.execute(
        "CREATE TRIGGER touch_updated_at BEFORE UPDATE ON app.mailboxes "
        "FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at()"
    )


def downgrade() -> None:
    """Take the change back."""
    for table in TABLES:
        op.drop_table(table, schema="app")
    op.drop_index("ix_replies_needs_review", "replies", schema="app")
    for column in ("needs_review", "generation", "return_date"):
        op.drop_column("replies", column, schema="app")
    op.drop_column("email_drafts", "written", schema="app")
    op.drop_constraint(op.f("ck_workspaces_daily_token_budget"), "workspaces", schema="app")
    for column in ("daily_token_budget", "reply_to_email", "voice"):
        op.drop_column("workspaces", column, schema="app")

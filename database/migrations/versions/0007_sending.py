"""Sending that keeps its pace and says why it waits: turns, rates, guards, and what became of sends nobody saw."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from database.tenancy import change_triggers, workspace_policy

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | None = None
depends_on: str | None = None

CHECKS = {
    "ramp": "num_nonnulls(ramp_start, ramp_from, ramp_step) IN (0, 3)",
    "ramp_to": "ramp_start IS NULL OR daily_cap IS NOT NULL",
    "ramp_rises": "ramp_from > 0 AND ramp_step > 0",
    "sends_per_minute": "sends_per_minute > 0",
    "domain_gap_seconds": "domain_gap_seconds > 0",
    "unknown_wait_hours": "unknown_wait_hours > 0",
    "guard_sample": "guard_sample > 0",
    "max_bounce_rate": "max_bounce_rate BETWEEN 0 AND 1",
    "max_complaint_rate": "max_complaint_rate BETWEEN 0 AND 1",
}

TABLES = ("send_settlements", "send_slots")


def upgrade() -> None:
    """Apply the change."""
    for table, column in _columns():
        op.add_column(table, column, schema="app")
    for name, condition in CHECKS.items():
        op.create_check_constraint(op.f(f"ck_workspaces_{name}"), "workspaces", condition, schema="app")
    op.create_index(
        "ix_email_drafts_sent",
        "email_drafts",
        ["sequence_id", "sent_at"],
        schema="app",
        postgresql_where=sa.text("sent_at IS NOT NULL"),
    )
    op.create_table(
        "send_slots",
        sa.Column("draft_id", sa.UUID(), nullable=False),
        _workspace("send_slots"),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _draft("send_slots"),
        sa.PrimaryKeyConstraint("draft_id", name=op.f("pk_send_slots")),
        schema="app",
    )
    op.create_index(op.f("ix_send_slots_workspace_id_at"), "send_slots", ["workspace_id", "at"], schema="app")
    op.create_table(
        "send_settlements",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        _workspace("send_settlements"),
        sa.Column("draft_id", sa.UUID(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("evidence", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("decision IN ('sent', 'not_sent')", name=op.f("ck_send_settlements_decision")),
        _draft("send_settlements"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_send_settlements")),
        schema="app",
    )
    op.create_index(
        op.f("ix_send_settlements_workspace_id_draft_id"),
        "send_settlements",
        ["workspace_id", "draft_id"],
        schema="app",
    )
    for table in TABLES:
        for statement in workspace_policy(f"app.{table}"):
            op.execute(statement)
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON app.{table} TO salesmatter_app")
    for statement in change_triggers("app.send_settlements"):
        op.execute(statement)


def _columns() -> tuple[tuple[str, sa.Column[Any]], ...]:
    return (
        ("workspaces", sa.Column("ramp_start", sa.Date())),
        ("workspaces", sa.Column("ramp_from", sa.Integer())),
        ("workspaces", sa.Column("ramp_step", sa.Integer())),
        ("workspaces", sa.Column("sends_per_minute", sa.Integer())),
        ("workspaces", sa.Column("domain_gap_seconds", sa.Integer())),
        ("workspaces", sa.Column("unknown_wait_hours", sa.Integer(), server_default="24", nullable=False)),
        ("workspaces", sa.Column("guard_sample", sa.Integer(), server_default="200", nullable=False)),
        ("workspaces", sa.Column("max_bounce_rate", sa.Float(), server_default="0.08")),
        ("workspaces", sa.Column("max_complaint_rate", sa.Float(), server_default="0.01")),
        ("everlytic_connections", sa.Column("failures", sa.Integer(), server_default="0", nullable=False)),
        ("everlytic_connections", sa.Column("blocked_until", sa.DateTime(timezone=True))),
        ("everlytic_connections", sa.Column("blocked_reason", sa.Text())),
        ("sequences", sa.Column("pause_reason", sa.Text())),
        ("sequences", sa.Column("activated_at", sa.DateTime(timezone=True))),
        ("send_attempts", sa.Column("look_ups", sa.Integer(), server_default="0", nullable=False)),
        ("send_attempts", sa.Column("looked_up_at", sa.DateTime(timezone=True))),
        ("send_attempts", sa.Column("job_id", sa.UUID())),
    )


def _workspace(table: str) -> sa.Column[Any]:
    key = sa.ForeignKey("app.workspaces.id", name=op.f(f"fk_{table}_workspace_id"), ondelete="CASCADE")
    return sa.Column("workspace_id", sa.UUID(), key, nullable=False)


def _draft(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_draft_id")
    return sa.ForeignKeyConstraint(["draft_id"], ["app.email_drafts.id"], name=name, ondelete="CASCADE")


def downgrade() -> None:
    """Take the change back."""
    for table in reversed(TABLES):
        op.drop_table(table, schema="app")
    op.drop_index("ix_email_drafts_sent", "email_drafts", schema="app")
    for name in CHECKS:
        op.drop_constraint(op.f(f"ck_workspaces_{name}"), "workspaces", schema="app")
    for table, column in reversed(_columns()):
        op.drop_column(table, column.name, schema="app")

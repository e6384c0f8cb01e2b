"""Every table of the app and of the provider record."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from database.base import Xid8

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "accounts",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        schema="app",
    )
    op.create_table(
        "changes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("transaction_id", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_changes")),
        schema="app",
    )
    op.create_index(op.f("ix_changes_changed_at"), "changes", ["changed_at"], unique=False, schema="app")
    op.create_index(
        op.f("ix_changes_transaction_id_id"), "changes", ["transaction_id", "id"], unique=False, schema="app"
    )
    op.create_table(
        "job_workers",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_workers")),
        schema="app",
    )
    op.create_table(
        "users",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("role IN ('admin', 'member')", name=op.f("ck_users_role")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["app.accounts.id"], name=op.f("fk_users_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        schema="app",
    )
    op.create_index(
        "uq_users_account_id_email",
        "users",
        ["account_id", sa.literal_column("lower(email)")],
        unique=True,
        schema="app",
    )
    op.create_table(
        "workspaces",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("default_from_name", sa.Text(), nullable=False),
        sa.Column("default_from_email", sa.Text(), nullable=False),
        sa.Column("postal_address", sa.Text(), server_default="", nullable=False),
        sa.Column("timezone", sa.Text(), server_default="Africa/Johannesburg", nullable=False),
        sa.Column("window_start", sa.Time(), server_default=sa.text("'08:00'"), nullable=False),
        sa.Column("window_end", sa.Time(), server_default=sa.text("'17:00'"), nullable=False),
        sa.Column(
            "sending_weekdays", sa.ARRAY(sa.SmallInteger()), server_default=sa.text("'{0,1,2,3,4}'"), nullable=False
        ),
        sa.Column("holidays_country", sa.Text(), server_default="ZA", nullable=True),
        sa.Column("daily_cap", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("cardinality(sending_weekdays) > 0", name=op.f("ck_workspaces_sending_weekdays")),
        sa.CheckConstraint("daily_cap > 0", name=op.f("ck_workspaces_daily_cap")),
        sa.CheckConstraint("window_start < window_end", name=op.f("ck_workspaces_window")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["app.accounts.id"], name=op.f("fk_workspaces_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workspaces")),
        schema="app",
    )
    op.create_index(op.f("ix_workspaces_account_id"), "workspaces", ["account_id"], unique=False, schema="app")
    op.create_table(
        "api_keys",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["app.accounts.id"], name=op.f("fk_api_keys_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["app.users.id"], name=op.f("fk_api_keys_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_api_keys_secret_hash")),
        schema="app",
    )
    op.create_index(op.f("ix_api_keys_account_id"), "api_keys", ["account_id"], unique=False, schema="app")
    op.create_index(op.f("ix_api_keys_user_id"), "api_keys", ["user_id"], unique=False, schema="app")
    op.create_table(
        "everlytic_connections",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("transactional_url", sa.Text(), nullable=False),
        sa.Column("tenant_url", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("encrypted_key", sa.Text(), nullable=False),
        sa.Column("webhook_token_hash", sa.Text(), nullable=False),
        sa.Column("encrypted_webhook_password", sa.Text(), nullable=False),
        sa.Column("webhook_id", sa.Text(), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"],
            ["app.workspaces.id"],
            name=op.f("fk_everlytic_connections_workspace_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_everlytic_connections")),
        sa.UniqueConstraint("webhook_token_hash", name=op.f("uq_everlytic_connections_webhook_token_hash")),
        sa.UniqueConstraint("workspace_id", name=op.f("uq_everlytic_connections_workspace_id")),
        schema="app",
    )
    op.create_table(
        "lead_lists",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source_filename", sa.Text(), nullable=True),
        sa.Column("lead_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_lead_lists_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lead_lists")),
        schema="app",
    )
    op.create_index(
        op.f("ix_lead_lists_workspace_id_id"), "lead_lists", ["workspace_id", "id"], unique=False, schema="app"
    )
    op.create_table(
        "scheduled_jobs",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("job_type", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("scheduled_for", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("max_attempts", sa.Integer(), server_default="5", nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("dedupe_key", sa.Text(), nullable=True),
        sa.Column("locked_by", sa.UUID(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'completed', 'failed', 'cancelled')",
            name=op.f("ck_scheduled_jobs_status"),
        ),
        sa.CheckConstraint("max_attempts > 0", name=op.f("ck_scheduled_jobs_max_attempts")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_scheduled_jobs_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scheduled_jobs")),
        schema="app",
        postgresql_with={
            "fillfactor": "80",
            "autovacuum_vacuum_scale_factor": "0.02",
            "autovacuum_vacuum_cost_delay": "0",
        },
    )
    op.create_index(
        "ix_scheduled_jobs_due",
        "scheduled_jobs",
        ["job_type", "run_at", "id"],
        unique=False,
        schema="app",
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "ix_scheduled_jobs_running",
        "scheduled_jobs",
        ["id"],
        unique=False,
        schema="app",
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_index(
        "ix_scheduled_jobs_workspace_id_id", "scheduled_jobs", ["workspace_id", "id"], unique=False, schema="app"
    )
    op.create_index(
        "uq_scheduled_jobs_dedupe_key",
        "scheduled_jobs",
        ["workspace_id", "job_type", "dedupe_key"],
        unique=True,
        schema="app",
    )
    op.create_table(
        "sequences",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="Draft", nullable=False),
        sa.Column("auto_approve", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("status IN ('Draft', 'Active', 'Paused')", name=op.f("ck_sequences_status")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_sequences_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sequences")),
        schema="app",
    )
    op.create_index(
        op.f("ix_sequences_workspace_id_id"), "sequences", ["workspace_id", "id"], unique=False, schema="app"
    )
    op.create_table(
        "suppressions",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("value_hash", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("suppressed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("(reason = 'domain') = (kind = 'domain')", name=op.f("ck_suppressions_kind_of_reason")),
        sa.CheckConstraint("kind IN ('email', 'domain')", name=op.f("ck_suppressions_kind")),
        sa.CheckConstraint(
            "reason IN ('unsubscribed', 'hard_bounce', 'complaint', 'manual', 'domain')",
            name=op.f("ck_suppressions_reason"),
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_suppressions_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppressions")),
        schema="app",
    )
    op.create_index(
        "uq_suppressions_workspace_id_value_hash",
        "suppressions",
        ["workspace_id", "value_hash"],
        unique=True,
        schema="app",
    )
    op.create_table(
        "workspace_limits",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("job_type", sa.Text(), nullable=False),
        sa.Column("interval", sa.Interval(), nullable=False),
        sa.Column("burst", sa.Integer(), server_default="1", nullable=False),
        sa.Column("theoretical_arrival_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("burst > 0", name=op.f("ck_workspace_limits_burst")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_workspace_limits_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "job_type", name=op.f("pk_workspace_limits")),
        schema="app",
    )
    op.create_table(
        "callback_events",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("event_key", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("transaction_id", sa.Text(), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("recipient", sa.Text(), nullable=True),
        sa.Column("group_name", sa.Text(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("raw", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("synced_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_callback_events_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "event_key", name=op.f("pk_callback_events")),
        schema="everlytic",
    )
    op.create_index(
        "ix_callback_events_unapplied",
        "callback_events",
        ["workspace_id"],
        unique=False,
        schema="everlytic",
        postgresql_where=sa.text("applied_at IS NULL"),
    )
    op.create_table(
        "campaign_reports",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("email_id", sa.Text(), nullable=False),
        sa.Column("reported_on", sa.Date(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("raw", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("synced_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_campaign_reports_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "email_id", "reported_on", name=op.f("pk_campaign_reports")),
        schema="everlytic",
    )
    op.create_table(
        "sync_cursors",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("synced_through", sa.DateTime(timezone=True), nullable=True),
        sa.Column("row_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("synced_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_sync_cursors_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "resource", name=op.f("pk_sync_cursors")),
        schema="everlytic",
    )
    op.create_table(
        "transactions",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("transaction_id", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("group_name", sa.Text(), nullable=True),
        sa.Column("recipient", sa.Text(), nullable=True),
        sa.Column("send_status", sa.Text(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opens", sa.Integer(), nullable=True),
        sa.Column("link_clicks", sa.Integer(), nullable=True),
        sa.Column("bounce_type", sa.Text(), nullable=True),
        sa.Column("bounce_reason", sa.Text(), nullable=True),
        sa.Column("raw", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("synced_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_transactions_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "transaction_id", name=op.f("pk_transactions")),
        schema="everlytic",
    )
    op.create_index(
        op.f("ix_transactions_workspace_id_group_name"),
        "transactions",
        ["workspace_id", "group_name"],
        unique=False,
        schema="everlytic",
    )
    op.create_index(
        op.f("ix_transactions_workspace_id_message_id"),
        "transactions",
        ["workspace_id", "message_id"],
        unique=False,
        schema="everlytic",
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_webhook_deliveries_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
        schema="everlytic",
    )
    op.create_index(
        "ix_webhook_deliveries_unapplied",
        "webhook_deliveries",
        ["workspace_id", "id"],
        unique=False,
        schema="everlytic",
        postgresql_where=sa.text("applied_at IS NULL"),
    )
    op.create_table(
        "lead_imports",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("list_id", sa.UUID(), nullable=True),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("mapping", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("duplicate_policy", sa.Text(), server_default="fill", nullable=False),
        sa.Column("row_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("new_count", sa.Integer(), nullable=True),
        sa.Column("updated_count", sa.Integer(), nullable=True),
        sa.Column("duplicate_count", sa.Integer(), nullable=True),
        sa.Column("suppressed_count", sa.Integer(), nullable=True),
        sa.Column("invalid_count", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("committed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "duplicate_policy IN ('skip', 'fill', 'overwrite')", name=op.f("ck_lead_imports_duplicate_policy")
        ),
        sa.CheckConstraint(
            "state IN ('mapped', 'committing', 'committed', 'failed')", name=op.f("ck_lead_imports_state")
        ),
        sa.ForeignKeyConstraint(
            ["list_id"], ["app.lead_lists.id"], name=op.f("fk_lead_imports_list_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_lead_imports_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lead_imports")),
        schema="app",
    )
    op.create_index(
        op.f("ix_lead_imports_workspace_id_id"), "lead_imports", ["workspace_id", "id"], unique=False, schema="app"
    )
    op.create_table(
        "leads",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("list_id", sa.UUID(), nullable=True),
        sa.Column("first_name", sa.Text(), server_default="", nullable=False),
        sa.Column("last_name", sa.Text(), server_default="", nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("company", sa.Text(), server_default="", nullable=False),
        sa.Column("role", sa.Text(), server_default="", nullable=False),
        sa.Column("segment", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), server_default="New", nullable=False),
        sa.Column("timezone", sa.Text(), nullable=True),
        sa.Column(
            "custom_fields", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.Column("last_activity_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("segment IN ('Enterprise', 'Mid-Market', 'SMB')", name=op.f("ck_leads_segment")),
        sa.CheckConstraint(
            "status IN ('New', 'Contacted', 'Replied', 'Qualified', 'Unsubscribed')", name=op.f("ck_leads_status")
        ),
        sa.ForeignKeyConstraint(["list_id"], ["app.lead_lists.id"], name=op.f("fk_leads_list_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_leads_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leads")),
        schema="app",
    )
    op.create_index(op.f("ix_leads_workspace_id_id"), "leads", ["workspace_id", "id"], unique=False, schema="app")
    op.create_index(
        op.f("ix_leads_workspace_id_list_id_id"), "leads", ["workspace_id", "list_id", "id"], unique=False, schema="app"
    )
    op.create_index(
        "uq_leads_workspace_id_email",
        "leads",
        ["workspace_id", sa.literal_column("lower(email)")],
        unique=True,
        schema="app",
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "sequence_steps",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("sequence_id", sa.UUID(), nullable=False),
        sa.Column("step_order", sa.Integer(), nullable=False),
        sa.Column("delay_days", sa.Integer(), server_default="0", nullable=False),
        sa.Column("delay_hours", sa.Integer(), server_default="0", nullable=False),
        sa.Column("subject", sa.Text(), server_default="", nullable=False),
        sa.Column("body_template", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("delay_days >= 0 AND delay_hours >= 0", name=op.f("ck_sequence_steps_delay")),
        sa.CheckConstraint("step_order > 0", name=op.f("ck_sequence_steps_step_order")),
        sa.ForeignKeyConstraint(
            ["sequence_id"], ["app.sequences.id"], name=op.f("fk_sequence_steps_sequence_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_sequence_steps_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sequence_steps")),
        sa.UniqueConstraint(
            "sequence_id",
            "step_order",
            deferrable=True,
            initially="DEFERRED",
            name=op.f("uq_sequence_steps_sequence_id_step_order"),
        ),
        schema="app",
    )
    op.create_index(
        op.f("ix_sequence_steps_workspace_id"), "sequence_steps", ["workspace_id"], unique=False, schema="app"
    )
    op.create_table(
        "lead_enrollments",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("lead_id", sa.UUID(), nullable=False),
        sa.Column("sequence_id", sa.UUID(), nullable=False),
        sa.Column("current_step_order", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), server_default="active", nullable=False),
        sa.Column("pause_reason", sa.Text(), nullable=True),
        sa.Column("resume_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_run_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('active', 'paused', 'completed', 'replied', 'unsubscribed')",
            name=op.f("ck_lead_enrollments_status"),
        ),
        sa.ForeignKeyConstraint(
            ["lead_id"], ["app.leads.id"], name=op.f("fk_lead_enrollments_lead_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["sequence_id"], ["app.sequences.id"], name=op.f("fk_lead_enrollments_sequence_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_lead_enrollments_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lead_enrollments")),
        schema="app",
    )
    op.create_index(
        op.f("ix_lead_enrollments_workspace_id_id"),
        "lead_enrollments",
        ["workspace_id", "id"],
        unique=False,
        schema="app",
    )
    op.create_index(
        op.f("ix_lead_enrollments_workspace_id_sequence_id_status"),
        "lead_enrollments",
        ["workspace_id", "sequence_id", "status"],
        unique=False,
        schema="app",
    )
    op.create_index(
        "uq_lead_enrollments_lead_id_sequence_id",
        "lead_enrollments",
        ["lead_id", "sequence_id"],
        unique=True,
        schema="app",
        postgresql_where=sa.text("status IN ('active', 'paused', 'replied')"),
    )
    op.create_table(
        "lead_events",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("lead_id", sa.UUID(), nullable=False),
        sa.Column("from_status", sa.Text(), nullable=False),
        sa.Column("to_status", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "event IN ('email_sent', 'reply_received', 'qualified', 'unsubscribed')", name=op.f("ck_lead_events_event")
        ),
        sa.ForeignKeyConstraint(["lead_id"], ["app.leads.id"], name=op.f("fk_lead_events_lead_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_lead_events_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lead_events")),
        schema="app",
    )
    op.create_index(
        op.f("ix_lead_events_workspace_id_lead_id_occurred_at"),
        "lead_events",
        ["workspace_id", "lead_id", "occurred_at"],
        unique=False,
        schema="app",
    )
    op.create_table(
        "lead_import_rows",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("import_id", sa.UUID(), nullable=False),
        sa.Column("line_number", sa.Integer(), nullable=False),
        sa.Column("cells", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("lead_id", sa.UUID(), nullable=True),
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
        unique=False,
        schema="app",
    )
    op.create_table(
        "email_drafts",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("lead_id", sa.UUID(), nullable=False),
        sa.Column("enrollment_id", sa.UUID(), nullable=False),
        sa.Column("sequence_id", sa.UUID(), nullable=False),
        sa.Column("step_id", sa.UUID(), nullable=False),
        sa.Column("step_order", sa.Integer(), nullable=False),
        sa.Column("subject", sa.Text(), server_default="", nullable=False),
        sa.Column("body", sa.Text(), server_default="", nullable=False),
        sa.Column("body_html", sa.Text(), server_default="", nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("everlytic_message_id", sa.Text(), nullable=True),
        sa.Column("error_reason", sa.Text(), nullable=True),
        sa.Column("generation", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("send_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'drafted', 'reviewed', 'sent', 'failed')", name=op.f("ck_email_drafts_status")
        ),
        sa.ForeignKeyConstraint(
            ["enrollment_id"],
            ["app.lead_enrollments.id"],
            name=op.f("fk_email_drafts_enrollment_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["lead_id"], ["app.leads.id"], name=op.f("fk_email_drafts_lead_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["sequence_id"], ["app.sequences.id"], name=op.f("fk_email_drafts_sequence_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["step_id"], ["app.sequence_steps.id"], name=op.f("fk_email_drafts_step_id")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_email_drafts_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_email_drafts")),
        schema="app",
    )
    op.create_index(op.f("ix_email_drafts_lead_id"), "email_drafts", ["lead_id"], unique=False, schema="app")
    op.create_index(
        op.f("ix_email_drafts_workspace_id_sequence_id_status"),
        "email_drafts",
        ["workspace_id", "sequence_id", "status"],
        unique=False,
        schema="app",
    )
    op.create_index(
        op.f("ix_email_drafts_workspace_id_status_id"),
        "email_drafts",
        ["workspace_id", "status", "id"],
        unique=False,
        schema="app",
    )
    op.create_index(
        "uq_email_drafts_enrollment_id_step_id", "email_drafts", ["enrollment_id", "step_id"], unique=True, schema="app"
    )
    op.create_table(
        "enrollment_events",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("enrollment_id", sa.UUID(), nullable=False),
        sa.Column("from_status", sa.Text(), nullable=False),
        sa.Column("to_status", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "event IN ('paused', 'hard_bounced', 'out_of_office', 'reply_received', 'all_steps_done', "
            "'unsubscribed', 'resumed')",
            name=op.f("ck_enrollment_events_event"),
        ),
        sa.ForeignKeyConstraint(
            ["enrollment_id"],
            ["app.lead_enrollments.id"],
            name=op.f("fk_enrollment_events_enrollment_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_enrollment_events_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrollment_events")),
        schema="app",
    )
    op.create_index(
        op.f("ix_enrollment_events_workspace_id_enrollment_id_occurred_at"),
        "enrollment_events",
        ["workspace_id", "enrollment_id", "occurred_at"],
        unique=False,
        schema="app",
    )
    op.create_table(
        "email_events",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("draft_id", sa.UUID(), nullable=False),
        sa.Column("everlytic_message_id", sa.Text(), nullable=True),
        sa.Column("provider_event_key", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("verdict_rule", sa.Text(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("synced_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "type IN ('sent', 'delivered', 'opened', 'clicked', 'bounced', 'complained', 'unsubscribed')",
            name=op.f("ck_email_events_type"),
        ),
        sa.CheckConstraint("verdict IN ('human', 'machine')", name=op.f("ck_email_events_verdict")),
        sa.ForeignKeyConstraint(
            ["draft_id"], ["app.email_drafts.id"], name=op.f("fk_email_events_draft_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_email_events_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_email_events")),
        schema="app",
    )
    op.create_index(op.f("ix_email_events_draft_id"), "email_events", ["draft_id"], unique=False, schema="app")
    op.create_index(op.f("ix_email_events_synced_at"), "email_events", ["synced_at"], unique=False, schema="app")
    op.create_index(
        op.f("ix_email_events_workspace_id_occurred_at"),
        "email_events",
        ["workspace_id", "occurred_at"],
        unique=False,
        schema="app",
    )
    op.create_index(
        "uq_email_events_provider_event_key",
        "email_events",
        ["workspace_id", "provider_event_key"],
        unique=True,
        schema="app",
    )
    op.create_table(
        "replies",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("lead_id", sa.UUID(), nullable=True),
        sa.Column("enrollment_id", sa.UUID(), nullable=True),
        sa.Column("draft_id", sa.UUID(), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("from_email", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), server_default="", nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("intent", sa.Text(), nullable=True),
        sa.Column("is_automatic", sa.Boolean(), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("confidence BETWEEN 0 AND 1", name=op.f("ck_replies_confidence")),
        sa.ForeignKeyConstraint(
            ["draft_id"], ["app.email_drafts.id"], name=op.f("fk_replies_draft_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["enrollment_id"], ["app.lead_enrollments.id"], name=op.f("fk_replies_enrollment_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["lead_id"], ["app.leads.id"], name=op.f("fk_replies_lead_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_replies_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replies")),
        schema="app",
    )
    op.create_index(op.f("ix_replies_created_at"), "replies", ["created_at"], unique=False, schema="app")
    op.create_index(op.f("ix_replies_draft_id"), "replies", ["draft_id"], unique=False, schema="app")
    op.create_index(
        op.f("ix_replies_workspace_id_received_at"),
        "replies",
        ["workspace_id", "received_at"],
        unique=False,
        schema="app",
    )
    op.create_index(
        "uq_replies_workspace_id_message_id", "replies", ["workspace_id", "message_id"], unique=True, schema="app"
    )
    op.create_table(
        "send_attempts",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("draft_id", sa.UUID(), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), server_default="claimed", nullable=False),
        sa.Column("everlytic_transaction_id", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('claimed', 'accepted', 'rejected', 'unknown')", name=op.f("ck_send_attempts_outcome")
        ),
        sa.ForeignKeyConstraint(
            ["draft_id"], ["app.email_drafts.id"], name=op.f("fk_send_attempts_draft_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_send_attempts_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_send_attempts")),
        schema="app",
    )
    op.create_index(op.f("ix_send_attempts_recorded_at"), "send_attempts", ["recorded_at"], unique=False, schema="app")
    op.create_index(
        op.f("ix_send_attempts_workspace_id_claimed_at"),
        "send_attempts",
        ["workspace_id", "claimed_at"],
        unique=False,
        schema="app",
    )
    op.create_index("uq_send_attempts_draft_id", "send_attempts", ["draft_id"], unique=True, schema="app")


def downgrade() -> None:
    """Take the change back."""
    op.drop_index("uq_send_attempts_draft_id", table_name="send_attempts", schema="app")
    op.drop_index(op.f("ix_send_attempts_recorded_at"), table_name="send_attempts", schema="app")
    op.drop_index(op.f("ix_send_attempts_workspace_id_claimed_at"), table_name="send_attempts", schema="app")
    op.drop_table("send_attempts", schema="app")
    op.drop_index("uq_replies_workspace_id_message_id", table_name="replies", schema="app")
    op.drop_index(op.f("ix_replies_workspace_id_received_at"), table_name="replies", schema="app")
    op.drop_index(op.f("ix_replies_created_at"), table_name="replies", schema="app")
    op.drop_index(op.f("ix_replies_draft_id"), table_name="replies", schema="app")
    op.drop_table("replies", schema="app")
    op.drop_index("uq_email_events_provider_event_key", table_name="email_events", schema="app")
    op.drop_index(op.f("ix_email_events_workspace_id_occurred_at"), table_name="email_events", schema="app")
    op.drop_index(op.f("ix_email_events_synced_at"), table_name="email_events", schema="app")
    op.drop_index(op.f("ix_email_events_draft_id"), table_name="email_events", schema="app")
    op.drop_table("email_events", schema="app")
    op.drop_index(
        op.f("ix_enrollment_events_workspace_id_enrollment_id_occurred_at"),
        table_name="enrollment_events",
        schema="app",
    )
    op.drop_table("enrollment_events", schema="app")
    op.drop_index("uq_email_drafts_enrollment_id_step_id", table_name="email_drafts", schema="app")
    op.drop_index(op.f("ix_email_drafts_workspace_id_status_id"), table_name="email_drafts", schema="app")
    op.drop_index(op.f("ix_email_drafts_workspace_id_sequence_id_status"), table_name="email_drafts", schema="app")
    op.drop_index(op.f("ix_email_drafts_lead_id"), table_name="email_drafts", schema="app")
    op.drop_table("email_drafts", schema="app")
    op.drop_index(op.f("ix_lead_import_rows_workspace_id_import_id"), table_name="lead_import_rows", schema="app")
    op.drop_table("lead_import_rows", schema="app")
    op.drop_index(op.f("ix_lead_events_workspace_id_lead_id_occurred_at"), table_name="lead_events", schema="app")
    op.drop_table("lead_events", schema="app")
    op.drop_index(
        "uq_lead_enrollments_lead_id_sequence_id",
        table_name="lead_enrollments",
        schema="app",
        postgresql_where=sa.text("status IN ('active', 'paused', 'replied')"),
    )
    op.drop_index(
        op.f("ix_lead_enrollments_workspace_id_sequence_id_status"), table_name="lead_enrollments", schema="app"
    )
    op.drop_index(op.f("ix_lead_enrollments_workspace_id_id"), table_name="lead_enrollments", schema="app")
    op.drop_table("lead_enrollments", schema="app")
    op.drop_index(op.f("ix_sequence_steps_workspace_id"), table_name="sequence_steps", schema="app")
    op.drop_table("sequence_steps", schema="app")
    op.drop_index(
        "uq_leads_workspace_id_email", table_name="leads", schema="app", postgresql_where=sa.text("deleted_at IS NULL")
    )
    op.drop_index(op.f("ix_leads_workspace_id_list_id_id"), table_name="leads", schema="app")
    op.drop_index(op.f("ix_leads_workspace_id_id"), table_name="leads", schema="app")
    op.drop_table("leads", schema="app")
    op.drop_index(op.f("ix_lead_imports_workspace_id_id"), table_name="lead_imports", schema="app")
    op.drop_table("lead_imports", schema="app")
    op.drop_index(
        "ix_webhook_deliveries_unapplied",
        table_name="webhook_deliveries",
        schema="everlytic",
        postgresql_where=sa.text("applied_at IS NULL"),
    )
    op.drop_table("webhook_deliveries", schema="everlytic")
    op.drop_index(op.f("ix_transactions_workspace_id_message_id"), table_name="transactions", schema="everlytic")
    op.drop_index(op.f("ix_transactions_workspace_id_group_name"), table_name="transactions", schema="everlytic")
    op.drop_table("transactions", schema="everlytic")
    op.drop_table("sync_cursors", schema="everlytic")
    op.drop_table("campaign_reports", schema="everlytic")
    op.drop_index(
        "ix_callback_events_unapplied",
        table_name="callback_events",
        schema="everlytic",
        postgresql_where=sa.text("applied_at IS NULL"),
    )
    op.drop_table("callback_events", schema="everlytic")
    op.drop_table("workspace_limits", schema="app")
    op.drop_index("uq_suppressions_workspace_id_value_hash", table_name="suppressions", schema="app")
    op.drop_table("suppressions", schema="app")
    op.drop_index(op.f("ix_sequences_workspace_id_id"), table_name="sequences", schema="app")
    op.drop_table("sequences", schema="app")
    op.drop_index("uq_scheduled_jobs_dedupe_key", table_name="scheduled_jobs", schema="app")
    op.drop_index("ix_scheduled_jobs_workspace_id_id", table_name="scheduled_jobs", schema="app")
    op.drop_index(
        "ix_scheduled_jobs_running",
        table_name="scheduled_jobs",
        schema="app",
        postgresql_where=sa.text("status = 'running'"),
    )
    op.drop_index(
        "ix_scheduled_jobs_due",
        table_name="scheduled_jobs",
        schema="app",
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.drop_table("scheduled_jobs", schema="app")
    op.drop_index(op.f("ix_lead_lists_workspace_id_id"), table_name="lead_lists", schema="app")
    op.drop_table("lead_lists", schema="app")
    op.drop_table("everlytic_connections", schema="app")
    op.drop_index(op.f("ix_api_keys_user_id"), table_name="api_keys", schema="app")
    op.drop_index(op.f("ix_api_keys_account_id"), table_name="api_keys", schema="app")
    op.drop_table("api_keys", schema="app")
    op.drop_index(op.f("ix_workspaces_account_id"), table_name="workspaces", schema="app")
    op.drop_table("workspaces", schema="app")
    op.drop_index("uq_users_account_id_email", table_name="users", schema="app")
    op.drop_table("users", schema="app")
    op.drop_table("job_workers", schema="app")
    op.drop_index(op.f("ix_changes_transaction_id_id"), table_name="changes", schema="app")
    op.drop_index(op.f("ix_changes_changed_at"), table_name="changes", schema="app")
    op.drop_table("changes", schema="app")
    op.drop_table("accounts", schema="app")

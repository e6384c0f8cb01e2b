"""Row-level security, grants, the change log's triggers and `updated_at`."""

from alembic import op

from database.tenancy import account_policy, change_triggers, credential_policy, workspace_policy

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None

WORKSPACE_TABLES = (
    "app.everlytic_connections",
    "app.lead_lists",
    "app.leads",
    "app.lead_events",
    "app.suppressions",
    "app.lead_imports",
    "app.lead_import_rows",
    "app.sequences",
    "app.sequence_steps",
    "app.lead_enrollments",
    "app.enrollment_events",
    "app.email_drafts",
    "app.send_attempts",
    "app.email_events",
    "app.replies",
    "app.scheduled_jobs",
    "app.workspace_limits",
    "app.changes",
    "everlytic.webhook_deliveries",
    "everlytic.transactions",
    "everlytic.callback_events",
    "everlytic.campaign_reports",
    "everlytic.sync_cursors",
)
ACCOUNT_TABLES = (("app.accounts", "id"), ("app.users", "account_id"), ("app.api_keys", "account_id"))
ENGINE_TABLES = ("app.scheduled_jobs", "app.workspace_limits", "app.job_workers", "app.changes")
APPEND_ONLY = ("app.lead_events", "app.enrollment_events")
# Written thousands of times a second and shown to nobody as they are; what they lead to is logged by its own table.
UNLOGGED = {
    "app.changes",
    "app.lead_import_rows",
    "app.workspace_limits",
    "everlytic.webhook_deliveries",
    "everlytic.transactions",
    "everlytic.callback_events",
    "everlytic.sync_cursors",
}
TOUCHED = (
    "accounts",
    "users",
    "workspaces",
    "everlytic_connections",
    "lead_lists",
    "leads",
    "lead_imports",
    "sequences",
    "sequence_steps",
    "lead_enrollments",
    "email_drafts",
)


def upgrade() -> None:
    """Apply the change."""
    op.execute("REVOKE ALL ON ALL TABLES IN SCHEMA app, everlytic FROM PUBLIC")
    op.execute("GRANT USAGE ON SCHEMA app, everlytic, analytics TO salesmatter_app")
    op.execute("GRANT USAGE ON SCHEMA app TO salesmatter_engine")
    # So that a process can refuse to start on a schema it was not written for.
    op.execute("GRANT SELECT ON public.alembic_version TO salesmatter_app, salesmatter_engine")
    for table in WORKSPACE_TABLES:
        _run(workspace_policy(table))
        verbs = "SELECT, INSERT" if table in APPEND_ONLY else "SELECT, INSERT, UPDATE, DELETE"
        op.execute(f"GRANT {'SELECT' if table == 'app.changes' else verbs} ON {table} TO salesmatter_app")
        if table not in UNLOGGED:
            _run(change_triggers(table))
    for table, column in ACCOUNT_TABLES:
        _run(account_policy(table, column))
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO salesmatter_app")
    _run(account_policy("app.workspaces"))
    _run(change_triggers("app.workspaces", "id"))
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON app.workspaces TO salesmatter_app")
    op.execute(credential_policy("app.api_keys", "secret_hash"))
    op.execute(credential_policy("app.everlytic_connections", "webhook_token_hash"))
    # A job runs as its workspace before anyone has looked up the account.
    op.execute(
        "CREATE POLICY workspace ON app.workspaces FOR SELECT TO salesmatter_app "
        "USING (id = (SELECT app.current_workspace()))"
    )
    _let_the_engine_in()
    for table in TOUCHED:
        op.execute(
            f"CREATE TRIGGER touch_updated_at BEFORE UPDATE ON app.{table} "
            "FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at()"
        )


def _let_the_engine_in() -> None:
    """Give the engine the queue and the change log, across workspaces, and nothing else."""
    op.execute("ALTER TABLE app.job_workers ENABLE ROW LEVEL SECURITY")
    for table in ENGINE_TABLES:
        op.execute(f"CREATE POLICY engine ON {table} TO salesmatter_engine USING (true) WITH CHECK (true)")
    op.execute("GRANT SELECT, UPDATE, DELETE ON app.scheduled_jobs TO salesmatter_engine")
    op.execute("GRANT SELECT, UPDATE ON app.workspace_limits TO salesmatter_engine")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON app.job_workers TO salesmatter_engine")
    op.execute("GRANT SELECT, DELETE ON app.changes TO salesmatter_engine")


def _run(statements: list[str]) -> None:
    for statement in statements:
        op.execute(statement)


def downgrade() -> None:
    """Take the change back."""
    for table in TOUCHED:
        op.execute(f"DROP TRIGGER touch_updated_at ON app.{table}")
    for table in ENGINE_TABLES:
        op.execute(f"DROP POLICY engine ON {table}")
    for table in (*WORKSPACE_TABLES, "app.workspaces"):
        if table not in UNLOGGED:
            for event in ("insert", "update", "delete"):
                op.execute(f"DROP TRIGGER log_{event} ON {table}")
    for table in WORKSPACE_TABLES:
        op.execute(f"DROP POLICY workspace ON {table}")
    for table, _ in (*ACCOUNT_TABLES, ("app.workspaces", "")):
        op.execute(f"DROP POLICY account ON {table}")
    op.execute("DROP POLICY workspace ON app.workspaces")
    for table in ("app.api_keys", "app.everlytic_connections"):
        op.execute(f"DROP POLICY credential ON {table}")
    for table in (*WORKSPACE_TABLES, *(name for name, _ in ACCOUNT_TABLES), "app.workspaces", "app.job_workers"):
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    op.execute("REVOKE ALL ON ALL TABLES IN SCHEMA app, everlytic FROM salesmatter_app, salesmatter_engine")
    op.execute("REVOKE ALL ON public.alembic_version FROM salesmatter_app, salesmatter_engine")
    op.execute("REVOKE ALL ON SCHEMA app, everlytic, analytics FROM salesmatter_app, salesmatter_engine")

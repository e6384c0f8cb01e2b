"""Every table that a GET reads says what changed: those of accounts under the account's id."""

from alembic import op

from database.tenancy import change_triggers

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | None = None
depends_on: str | None = None

# Written out, because a statement that is put together is planned anew each time it runs.
LOG_CHANGE = """
CREATE OR REPLACE FUNCTION app.log_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  CASE TG_ARGV[1]
    WHEN 'workspace_id' THEN
      INSERT INTO app.changes (workspace_id, table_name) SELECT DISTINCT workspace_id, TG_ARGV[0] FROM changed;
    WHEN 'account_id' THEN
      INSERT INTO app.changes (workspace_id, table_name) SELECT DISTINCT account_id, TG_ARGV[0] FROM changed;
    WHEN 'id' THEN
      INSERT INTO app.changes (workspace_id, table_name) SELECT DISTINCT id, TG_ARGV[0] FROM changed;
  END CASE;
  RETURN NULL;
END
$$
"""
LOG_CHANGE_BEFORE = """
CREATE OR REPLACE FUNCTION app.log_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  EXECUTE format(
    'INSERT INTO app.changes (workspace_id, table_name) SELECT DISTINCT %I, $1 FROM changed', TG_ARGV[1]
  ) USING TG_ARGV[0];
  RETURN NULL;
END
$$
"""

# Who comes in by a key has it noted once a minute when it was used. Everybody reads keys in order to come in: were that
# a change, each key in use would have every query of its account asked again, every minute.
LOG_KEY_CHANGE = """
CREATE FUNCTION app.log_key_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  INSERT INTO app.changes (workspace_id, table_name)
  SELECT DISTINCT changed.account_id, 'api_keys'
    FROM changed JOIN before ON before.id = changed.id
   WHERE to_jsonb(changed) - 'last_used_at' IS DISTINCT FROM to_jsonb(before) - 'last_used_at';
  RETURN NULL;
END
$$
"""

# Of the same table the workspace and the account are told; the triggers of each need names of their own.
TABLES = (
    ("app.accounts", "id", "log"),
    ("app.users", "account_id", "log"),
    ("app.api_keys", "account_id", "log"),
    ("app.workspaces", "account_id", "log_account"),
    ("app.lead_import_blocks", "workspace_id", "log"),
    ("app.lead_import_rows", "workspace_id", "log"),
    ("app.lead_import_changes", "workspace_id", "log"),
    ("everlytic.sync_cursors", "workspace_id", "log"),
)


def upgrade() -> None:
    """Apply the change."""
    op.execute(LOG_CHANGE)
    for table, column, name in TABLES:
        for statement in change_triggers(table, column, name=name):
            op.execute(statement)
    op.execute(LOG_KEY_CHANGE)
    op.execute("DROP TRIGGER log_update ON app.api_keys")
    op.execute(
        "CREATE TRIGGER log_update AFTER UPDATE ON app.api_keys REFERENCING OLD TABLE AS before NEW TABLE AS changed "
        "FOR EACH STATEMENT EXECUTE FUNCTION app.log_key_change()"
    )


def downgrade() -> None:
    """Take the change back."""
    for table, _, name in TABLES:
        for event in ("insert", "update", "delete"):
            op.execute(f"DROP TRIGGER {name}_{event} ON {table}")
    op.execute("DROP FUNCTION app.log_key_change()")
    op.execute(LOG_CHANGE_BEFORE)

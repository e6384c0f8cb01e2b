"""Suppressions of a whole account, and domains with the domains below them."""

from pathlib import Path

from alembic import op

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: str | None = None
depends_on: str | None = None

_POLICY = """
DROP POLICY workspace ON app.{table};
CREATE POLICY workspace ON app.{table} TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
"""
_TRIGGER = """
CREATE OR REPLACE TRIGGER log_{event} AFTER {event} ON app.{table} REFERENCING {rows} TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('{table}', 'workspace_id');
"""
_TABLES = ("suppressions", "suppression_removals")
DOWNGRADE = """
DROP FUNCTION app.enqueue_stops(text, text[], text, text, timestamptz);
CREATE OR REPLACE FUNCTION app.list_holders(person_keys text[]) RETURNS TABLE (person_key text, lead_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT email, id FROM app.leads
   WHERE workspace_id = (SELECT app.current_workspace()) AND email = ANY(person_keys) AND deleted_at IS NULL
  UNION ALL
  SELECT email, id FROM app.leads
   WHERE workspace_id = (SELECT app.current_workspace()) AND email = ANY(person_keys) AND deleted_at IS NOT NULL
  UNION ALL
  SELECT app.person_key(email), id FROM app.leads
   WHERE workspace_id = (SELECT app.current_workspace()) AND app.person_key(email) = ANY(person_keys)
     AND app.person_key(email) <> email
$$;
DROP FUNCTION app.find_holders(uuid, text[]);
DROP TRIGGER lock_suppressions ON app.changes;
DROP FUNCTION app.lock_suppressions();
"""
_ROWS = """
DELETE FROM app.suppressions WHERE workspace_id IS NULL;
DELETE FROM app.suppression_removals WHERE workspace_id IS NULL;
DROP INDEX app.uq_suppressions_account_id_value_hash_workspace_id, app.ix_suppressions_account_id_id,
  app.ix_suppressions_account_id_reason_id, app.ix_suppressions_subdomains, app.ix_suppressions_workspace_id,
  app.ix_suppression_removals_account_id_id, app.ix_suppression_removals_account_id_value_hash,
  app.ix_suppression_removals_workspace_id;
ALTER TABLE app.suppressions
  ALTER COLUMN workspace_id SET NOT NULL, DROP COLUMN account_id, DROP COLUMN include_subdomains;
ALTER TABLE app.suppression_removals
  ALTER COLUMN workspace_id SET NOT NULL, DROP COLUMN account_id, DROP COLUMN include_subdomains;
DROP FUNCTION app.parent_domain_hashes(uuid, text);
DROP FUNCTION app.suppression_hash(uuid, text);
CREATE FUNCTION app.suppression_hash(workspace_id uuid, value text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT encode(sha256(convert_to(workspace_id::text || ':' || app.person_key(lower(btrim(value))), 'UTF8')), 'hex')
$$;
DROP FUNCTION app.current_workspace_account();
UPDATE app.suppressions SET value_hash = app.suppression_hash(workspace_id, value) WHERE value IS NOT NULL;
UPDATE app.suppression_removals SET value_hash = app.suppression_hash(workspace_id, value) WHERE value IS NOT NULL;
CREATE UNIQUE INDEX uq_suppressions_workspace_id_value_hash ON app.suppressions (workspace_id, value_hash);
CREATE INDEX ix_suppressions_workspace_id_id ON app.suppressions (workspace_id, id);
CREATE INDEX ix_suppressions_workspace_id_reason_id ON app.suppressions (workspace_id, reason, id);
CREATE INDEX ix_suppression_removals_workspace_id_id ON app.suppression_removals (workspace_id, id);
CREATE INDEX ix_suppression_removals_workspace_id_value_hash ON app.suppression_removals (workspace_id, value_hash);
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
$$;
"""


def upgrade() -> None:
    """Apply the change."""
    statements = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Go back to suppressions of workspaces; those of accounts are deleted."""
    policies = "".join(_POLICY.format(table=table) for table in _TABLES)
    events = (("insert", "NEW"), ("update", "NEW"), ("delete", "OLD"))
    triggers = "".join(
        _TRIGGER.format(table=table, event=event, rows=rows) for table in _TABLES for event, rows in events
    )
    op.get_bind().exec_driver_sql(DOWNGRADE + policies + triggers + _ROWS, execution_options={"no_parameters": True})

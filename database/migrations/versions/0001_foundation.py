"""Schemas, and the functions that tables and policies stand on."""

from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

# RFC 9562: 48 bits of Unix milliseconds, version 7, the rest random from gen_random_uuid(). Postgres 18 has one of its
# own; Neon may run 15.
UUIDV7 = """
CREATE FUNCTION app.uuidv7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
  SELECT encode(
    set_bit(set_bit(
      overlay(uuid_send(gen_random_uuid())
        PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
        FROM 1 FOR 6),
      52, 1), 53, 1), 'hex')::uuid
$$
"""

SUPPRESSION_HASH = """
CREATE FUNCTION app.suppression_hash(workspace_id uuid, value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT encode(sha256(convert_to(workspace_id::text || ':' || lower(btrim(value)), 'UTF8')), 'hex')
$$
"""

CURRENT = """
CREATE FUNCTION app.current_{name}() RETURNS {type} LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT nullif(current_setting('app.{setting}', true), '')::{type}
$$
"""

TOUCH = """
CREATE FUNCTION app.touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := now();
  RETURN NEW;
END
$$
"""

# Runs as its owner: whoever changes a row may say so, and nothing else, in the change log.
LOG_CHANGE = """
CREATE FUNCTION app.log_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  EXECUTE format(
    'INSERT INTO app.changes (workspace_id, table_name) SELECT DISTINCT %I, $1 FROM changed', TG_ARGV[1]
  ) USING TG_ARGV[0];
  RETURN NULL;
END
$$
"""


def upgrade() -> None:
    """Apply the change."""
    for schema in ("app", "everlytic", "analytics"):
        op.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    op.execute(UUIDV7)
    op.execute(SUPPRESSION_HASH)
    for name, type_, setting in (
        ("workspace", "uuid", "workspace_id"),
        ("account", "uuid", "account_id"),
        ("credential_hash", "text", "credential_hash"),
    ):
        op.execute(CURRENT.format(name=name, type=type_, setting=setting))
    op.execute(TOUCH)
    op.execute(LOG_CHANGE)


def downgrade() -> None:
    """Take the change back."""
    for function in (
        "log_change()",
        "touch_updated_at()",
        "current_credential_hash()",
        "current_account()",
        "current_workspace()",
        "suppression_hash(uuid, text)",
        "uuidv7()",
    ):
        op.execute(f"DROP FUNCTION app.{function}")
    for schema in ("analytics", "everlytic", "app"):
        op.execute(f"DROP SCHEMA {schema}")

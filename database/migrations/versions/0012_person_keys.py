"""Find suppressions and leads by the person's key, which all spellings of an address share."""

from pathlib import Path

from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | None = None
depends_on: str | None = None

DOWNGRADE = """
DROP FUNCTION app.list_holders(text[]);
DROP INDEX app.ix_leads_workspace_id_person_key;
CREATE OR REPLACE FUNCTION app.suppression_hash(workspace_id uuid, value text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT encode(sha256(convert_to(workspace_id::text || ':' || lower(btrim(value)), 'UTF8')), 'hex')
$$;
UPDATE app.suppressions SET value_hash = app.suppression_hash(workspace_id, value)
 WHERE kind = 'email' AND app.person_key(value) <> value;
UPDATE app.suppression_removals SET value_hash = app.suppression_hash(workspace_id, value)
 WHERE kind = 'email' AND app.person_key(value) <> value;
DROP FUNCTION app.person_key(text);
"""


def upgrade() -> None:
    """Apply the change."""
    statements = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Go back to one hash for each spelling."""
    op.get_bind().exec_driver_sql(DOWNGRADE, execution_options={"no_parameters": True})

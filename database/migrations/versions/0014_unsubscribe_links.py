"""Let a recipient whose unsubscribe link cannot be read get another one by email."""

from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | None = None
depends_on: str | None = None

UPGRADE = """
-- When a new unsubscribe link for this mail was last requested.
ALTER TABLE app.send_attempts ADD COLUMN link_requested_at timestamptz;

-- Who requests a link knows no workspace, so the address comes first.
DROP INDEX app.ix_send_attempts_workspace_id_recipient;
CREATE INDEX ix_send_attempts_recipient_workspace_id ON app.send_attempts (recipient, workspace_id);

-- Reserves a new unsubscribe link for the last mail to an address: of the workspace that a broken link still names, or
-- else of any. It runs as the owner, because the caller knows no workspace. No row: nothing was sent to the address,
-- its owner has said no already, or another link was requested after `not_after`.
CREATE FUNCTION app.reserve_unsubscribe_link(address text, named_workspace uuid, at timestamptz, not_after timestamptz)
RETURNS TABLE (workspace_id uuid, draft_id uuid) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
#variable_conflict use_column
BEGIN
  -- Of two requests at once only one gets a link.
  PERFORM pg_advisory_xact_lock(hashtextextended('unsubscribe_link:' || address, 0));
  IF EXISTS (SELECT FROM app.send_attempts WHERE recipient = address AND link_requested_at > not_after) THEN
    RETURN;
  END IF;
  RETURN QUERY
  UPDATE app.send_attempts AS attempt SET link_requested_at = at
   WHERE attempt.id = (
           SELECT sent.id
             FROM app.send_attempts AS sent
             JOIN app.workspaces AS workspace ON workspace.id = sent.workspace_id AND workspace.deleted_at IS NULL
            WHERE sent.recipient = address AND sent.outcome IN ('accepted', 'unknown')
              AND NOT EXISTS (SELECT FROM app.suppressions AS suppression
                               WHERE suppression.workspace_id = sent.workspace_id
                                 AND suppression.value_hash = app.suppression_hash(sent.workspace_id, address)
                                 AND suppression.reason IN ('unsubscribed', 'complaint'))
            ORDER BY sent.workspace_id IS NOT DISTINCT FROM named_workspace DESC, sent.claimed_at DESC, sent.id DESC
            LIMIT 1)
  RETURNING attempt.workspace_id, attempt.draft_id;
END
$$;
REVOKE ALL ON FUNCTION app.reserve_unsubscribe_link(text, uuid, timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.reserve_unsubscribe_link(text, uuid, timestamptz, timestamptz) TO salesmatter_app;
"""

DOWNGRADE = """
DROP FUNCTION app.reserve_unsubscribe_link(text, uuid, timestamptz, timestamptz);
DROP INDEX app.ix_send_attempts_recipient_workspace_id;
CREATE INDEX ix_send_attempts_workspace_id_recipient ON app.send_attempts (workspace_id, recipient);
ALTER TABLE app.send_attempts DROP COLUMN link_requested_at;
"""


def upgrade() -> None:
    """Apply the change."""
    op.get_bind().exec_driver_sql(UPGRADE, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Undo the change."""
    op.get_bind().exec_driver_sql(DOWNGRADE, execution_options={"no_parameters": True})

"""Mail no new unsubscribe link to a person whose no counts for the whole account."""

from alembic import op

revision: str = "0020"
down_revision: str | None = "0019"
branch_labels: str | None = None
depends_on: str | None = None

UPGRADE = """
CREATE OR REPLACE FUNCTION
  app.reserve_unsubscribe_link(address text, named_workspace uuid, at timestamptz, not_after timestamptz)
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
                               WHERE suppression.account_id = workspace.account_id
                                 AND coalesce(suppression.workspace_id, sent.workspace_id) = sent.workspace_id
                                 AND suppression.value_hash = app.suppression_hash(workspace.account_id, address)
                                 AND suppression.reason IN ('unsubscribed', 'complaint'))
            ORDER BY sent.workspace_id IS NOT DISTINCT FROM named_workspace DESC, sent.claimed_at DESC, sent.id DESC
            LIMIT 1)
  RETURNING attempt.workspace_id, attempt.draft_id;
END
$$;
"""

DOWNGRADE = """
CREATE OR REPLACE FUNCTION
  app.reserve_unsubscribe_link(address text, named_workspace uuid, at timestamptz, not_after timestamptz)
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
"""


def upgrade() -> None:
    """Apply the change."""
    op.get_bind().exec_driver_sql(UPGRADE, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Undo the change."""
    op.get_bind().exec_driver_sql(DOWNGRADE, execution_options={"no_parameters": True})

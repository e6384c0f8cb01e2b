"""Find the persons whose replies wait for a user, so that no sequence mails them until then."""

from alembic import op

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: str | None = None
depends_on: str | None = None

UPGRADE = """
-- Replies of persons that are not classified yet, or that a user must read.
CREATE INDEX ix_replies_awaiting_review ON app.replies (workspace_id)
  WHERE (needs_review OR intent IS NULL) AND is_automatic IS NOT TRUE;

-- The keys of the persons who wrote these replies, or whose mail they answer, in all workspaces of the account. It runs
-- as the owner, because a transaction sees the replies of its own workspace only.
CREATE FUNCTION app.list_persons_awaiting_review() RETURNS TABLE (person_key text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT app.person_key(person.address)
    FROM app.workspaces AS own
    JOIN app.workspaces AS workspace ON workspace.account_id = own.account_id AND workspace.deleted_at IS NULL
    JOIN app.replies AS reply ON reply.workspace_id = workspace.id
    LEFT JOIN app.leads AS lead ON lead.id = reply.lead_id
    LEFT JOIN app.send_attempts AS attempt ON attempt.draft_id = reply.draft_id
   CROSS JOIN LATERAL (VALUES (reply.from_email), (lead.email), (attempt.recipient)) AS person (address)
   WHERE own.id = (SELECT app.current_workspace())
     AND (reply.needs_review OR reply.intent IS NULL) AND reply.is_automatic IS NOT TRUE
     AND person.address <> ''
$$;
REVOKE ALL ON FUNCTION app.list_persons_awaiting_review() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app.list_persons_awaiting_review() TO salesmatter_app;

-- A transaction that stores a reply waits, as the last step of its commit, for the claims of its account, as one that
-- suppresses does.
CREATE CONSTRAINT TRIGGER lock_claims AFTER INSERT ON app.replies DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION app.lock_suppressions();
"""


def upgrade() -> None:
    """Apply the change."""
    op.get_bind().exec_driver_sql(UPGRADE, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Undo the change."""
    op.execute("DROP TRIGGER lock_claims ON app.replies")
    op.execute("DROP FUNCTION app.list_persons_awaiting_review()")
    op.execute("DROP INDEX app.ix_replies_awaiting_review")

"""Keep who was mailed, and what, when a claim is released, because the mail may turn out to have been sent."""

from alembic import op

revision: str = "0018"
down_revision: str | None = "0017"
branch_labels: str | None = None
depends_on: str | None = None

UPGRADE = """
-- The last released claim of each draft, with what the claim said about its mail.
CREATE TABLE app.released_claims (
  draft_id uuid NOT NULL,
  workspace_id uuid NOT NULL,
  claimed_at timestamptz NOT NULL,
  recipient text,
  -- The hash of an erased recipient.
  recipient_hash text,
  subject text NOT NULL DEFAULT '',
  template_version text,
  tracks_opens boolean NOT NULL DEFAULT true,
  tracks_clicks boolean NOT NULL DEFAULT true,
  CONSTRAINT pk_released_claims PRIMARY KEY (draft_id),
  CONSTRAINT fk_released_claims_draft_id FOREIGN KEY (draft_id) REFERENCES app.email_drafts (id) ON DELETE CASCADE,
  CONSTRAINT fk_released_claims_workspace_id
    FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE
);
-- For the deletion of a workspace.
CREATE INDEX ix_released_claims_workspace_id ON app.released_claims (workspace_id);
ALTER TABLE app.released_claims ENABLE ROW LEVEL SECURITY;
CREATE POLICY workspace ON app.released_claims TO salesmatter_app
  USING (workspace_id = (SELECT app.current_workspace())) WITH CHECK (workspace_id = (SELECT app.current_workspace()));
GRANT SELECT, INSERT, UPDATE, DELETE ON app.released_claims TO salesmatter_app;
"""


def upgrade() -> None:
    """Apply the change."""
    op.get_bind().exec_driver_sql(UPGRADE, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Undo the change."""
    op.execute("DROP TABLE app.released_claims")

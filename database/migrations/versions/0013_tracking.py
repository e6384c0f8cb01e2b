"""Store what each workspace measures of its mails, and what was measured of each."""

from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | None = None
depends_on: str | None = None

UPGRADE = """
ALTER TABLE app.workspaces
  -- What is measured of mails; automatic depends on the recipient's country.
  ADD COLUMN tracking text NOT NULL DEFAULT 'automatic',
  ADD CONSTRAINT ck_workspaces_tracking CHECK (tracking IN ('off', 'clicks', 'all', 'automatic'));

ALTER TABLE app.send_attempts
  -- Whether the provider was asked to measure opens and clicks. It measured both of all mails until now.
  ADD COLUMN tracks_opens boolean NOT NULL DEFAULT true,
  ADD COLUMN tracks_clicks boolean NOT NULL DEFAULT true;
"""


def upgrade() -> None:
    """Apply the change."""
    op.get_bind().exec_driver_sql(UPGRADE, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Drop the columns, after dbt's view that reads them, which the next build creates again."""
    op.execute("DROP VIEW IF EXISTS staging.stg_app__send_attempts CASCADE")
    op.execute("ALTER TABLE app.send_attempts DROP COLUMN tracks_opens, DROP COLUMN tracks_clicks")
    op.execute("ALTER TABLE app.workspaces DROP COLUMN tracking")

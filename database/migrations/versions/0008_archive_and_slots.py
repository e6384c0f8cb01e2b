"""Jobs that have long ended leave the queue, and every workspace gets its jobs by the clock."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from database.tenancy import workspace_policy

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | None = None
depends_on: str | None = None

# The engine may not see workspaces; all it can do is to ask for one job of each. In the order of their ids: workers who
# do it at the same time wait for each other, and not in a ring.
ENQUEUE_SLOT = """
CREATE FUNCTION app.enqueue_slot(of_type text, slot timestamptz) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  WITH made AS (
    INSERT INTO app.scheduled_jobs (workspace_id, job_type, scheduled_for, run_at, dedupe_key)
    SELECT id, of_type, slot, slot, 'slot:' || to_char(slot AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
      FROM app.workspaces WHERE deleted_at IS NULL ORDER BY id
    ON CONFLICT (workspace_id, job_type, dedupe_key) DO NOTHING
    RETURNING 1
  )
  SELECT count(*) FROM made
$$
"""


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "archived_jobs",
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("job_type", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(), nullable=False),
        sa.Column("scheduled_for", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.Text()),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("status IN ('completed', 'cancelled')", name=op.f("ck_archived_jobs_status")),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name=op.f("fk_archived_jobs_workspace_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_archived_jobs")),
        schema="app",
    )
    for statement in workspace_policy("app.archived_jobs"):
        op.execute(statement)
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON app.archived_jobs TO salesmatter_app")
    op.execute("CREATE POLICY engine ON app.archived_jobs FOR INSERT TO salesmatter_engine WITH CHECK (true)")
    op.execute("GRANT INSERT ON app.archived_jobs TO salesmatter_engine")
    # Whether a type has rates at all is asked by every claim.
    op.create_index("ix_workspace_limits_job_type", "workspace_limits", ["job_type"], schema="app")
    op.execute(ENQUEUE_SLOT)
    op.execute("REVOKE ALL ON FUNCTION app.enqueue_slot(text, timestamptz) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION app.enqueue_slot(text, timestamptz) TO salesmatter_engine")


def downgrade() -> None:
    """Take the change back."""
    op.execute("DROP FUNCTION app.enqueue_slot(text, timestamptz)")
    op.drop_index("ix_workspace_limits_job_type", "workspace_limits", schema="app")
    op.drop_table("archived_jobs", schema="app")

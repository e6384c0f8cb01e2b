"""Fair turns and rates for jobs, and what operators watch: failures of late, and sends of unknown outcome."""

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | None = None
depends_on: str | None = None

PENDING = sa.text("status = 'pending'")

# The engine may not see whose sends they are, only how many there are and since when.
UNKNOWN_SENDS = """
CREATE FUNCTION app.unknown_sends() RETURNS TABLE (number bigint, oldest timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT count(*), min(claimed_at) FROM app.send_attempts WHERE outcome = 'unknown'
$$
"""


def upgrade() -> None:
    """Apply the change."""
    op.add_column(
        "scheduled_jobs",
        sa.Column("paced", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        schema="app",
    )
    op.create_index(
        "ix_scheduled_jobs_lines",
        "scheduled_jobs",
        ["job_type", "workspace_id", "run_at", "id"],
        schema="app",
        postgresql_where=PENDING,
    )
    op.create_index(
        "ix_scheduled_jobs_failed",
        "scheduled_jobs",
        ["completed_at"],
        schema="app",
        postgresql_where=sa.text("status = 'failed'"),
    )
    op.create_index(
        "ix_send_attempts_unknown",
        "send_attempts",
        ["claimed_at"],
        schema="app",
        postgresql_where=sa.text("outcome = 'unknown'"),
    )
    op.execute(UNKNOWN_SENDS)
    op.execute("REVOKE ALL ON FUNCTION app.unknown_sends() FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION app.unknown_sends() TO salesmatter_engine")


def downgrade() -> None:
    """Take the change back."""
    op.execute("DROP FUNCTION app.unknown_sends()")
    op.drop_index("ix_send_attempts_unknown", "send_attempts", schema="app")
    op.drop_index("ix_scheduled_jobs_failed", "scheduled_jobs", schema="app")
    op.drop_index("ix_scheduled_jobs_lines", "scheduled_jobs", schema="app")
    op.drop_column("scheduled_jobs", "paced", schema="app")

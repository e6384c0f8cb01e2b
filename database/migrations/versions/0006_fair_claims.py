"""Fair turns and rates for jobs: which jobs have their slot, and each workspace's own line in the queue."""

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | None = None
depends_on: str | None = None

PENDING = sa.text("status = 'pending'")


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


def downgrade() -> None:
    """Take the change back."""
    op.drop_index("ix_scheduled_jobs_lines", "scheduled_jobs", schema="app")
    op.drop_column("scheduled_jobs", "paced", schema="app")

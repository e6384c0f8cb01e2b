"""What each bounce is about, and the times that the provider reported where they are impossible."""

from pathlib import Path

from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None

STATEMENTS = Path(__file__).with_suffix(".sql")


def upgrade() -> None:
    """Apply the change."""
    # Without parameters, so that the driver takes several statements at once and reads no `%` as a placeholder.
    op.get_bind().exec_driver_sql(STATEMENTS.read_text(encoding="utf-8"), execution_options={"no_parameters": True})


def downgrade() -> None:
    """Drop the columns, after dbt's views that read them, which the next build creates again."""
    op.execute("DROP VIEW IF EXISTS staging.stg_app__email_events, staging.stg_everlytic__callback_events CASCADE")
    op.execute("ALTER TABLE app.email_events DROP COLUMN bounce_kind, DROP COLUMN reported_at")
    op.execute("ALTER TABLE everlytic.callback_events DROP COLUMN bounce_kind")

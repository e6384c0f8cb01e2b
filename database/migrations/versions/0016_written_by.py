"""Store which transaction last wrote the rows that analytics reads."""

from pathlib import Path

from alembic import op

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: str | None = None
depends_on: str | None = None

TABLES = ("send_attempts", "email_events", "replies")


def upgrade() -> None:
    """Apply the change."""
    statements = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Drop the columns, after dbt's views that read them, which the next build creates again."""
    for table in TABLES:
        op.execute(f"DROP VIEW IF EXISTS staging.stg_app__{table} CASCADE")
        op.execute(f"DROP TRIGGER stamp_transaction ON app.{table}")
        op.execute(f"ALTER TABLE app.{table} DROP COLUMN written_by")
    op.execute("DROP FUNCTION app.stamp_transaction()")
    op.execute("CREATE INDEX ix_replies_updated_at ON app.replies (updated_at)")

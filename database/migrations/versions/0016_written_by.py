"""Store which transaction last wrote the rows that analytics reads."""

from pathlib import Path

from alembic import op

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: str | None = None
depends_on: str | None = None

DOWNGRADE = """
DROP VIEW IF EXISTS staging.stg_app__send_attempts CASCADE;
DROP TRIGGER stamp_transaction ON app.send_attempts;
ALTER TABLE app.send_attempts DROP COLUMN written_by;
DROP VIEW IF EXISTS staging.stg_app__email_events CASCADE;
DROP TRIGGER stamp_transaction ON app.email_events;
ALTER TABLE app.email_events DROP COLUMN written_by;
DROP VIEW IF EXISTS staging.stg_app__replies CASCADE;
DROP TRIGGER stamp_transaction ON app.replies;
ALTER TABLE app.replies DROP COLUMN written_by;
DROP FUNCTION app.stamp_transaction();
CREATE INDEX ix_replies_updated_at ON app.replies (updated_at);
"""
"""dbt's views read the columns; the next build creates them again."""


def upgrade() -> None:
    """Apply the change."""
    statements = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Drop the columns and the views that read them."""
    op.get_bind().exec_driver_sql(DOWNGRADE, execution_options={"no_parameters": True})

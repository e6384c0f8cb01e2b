"""Store which rows of an imported file have a time zone that is not clear."""

from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | None = None
depends_on: str | None = None

UPGRADE = """
-- The number of rows that would be leads and whose time zone names no zone or may mean several.
ALTER TABLE app.lead_imports ADD COLUMN unknown_timezone_count int NOT NULL DEFAULT 0;
ALTER TABLE app.lead_import_rows ADD COLUMN has_unknown_timezone boolean NOT NULL DEFAULT false;
"""


def upgrade() -> None:
    """Apply the change."""
    op.get_bind().exec_driver_sql(UPGRADE, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Undo the change."""
    op.execute("ALTER TABLE app.lead_import_rows DROP COLUMN has_unknown_timezone")
    op.execute("ALTER TABLE app.lead_imports DROP COLUMN unknown_timezone_count")

"""Store which rows of an imported file say not to mail."""

from pathlib import Path

from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    statements = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Drop the columns."""
    op.execute("ALTER TABLE app.lead_import_rows DROP COLUMN opt_out")
    op.execute("ALTER TABLE app.lead_imports DROP COLUMN opted_out_count")

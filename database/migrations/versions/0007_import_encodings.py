"""Store the encoding of an imported file."""

from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | None = None
depends_on: str | None = None

UPGRADE = """
-- The name of the text's encoding, whether it is sure, and some cells as they were read; null for a workbook.
ALTER TABLE app.lead_imports ADD COLUMN encoding jsonb;
"""


def upgrade() -> None:
    """Apply the change."""
    op.get_bind().exec_driver_sql(UPGRADE, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Undo the change."""
    op.execute("ALTER TABLE app.lead_imports DROP COLUMN encoding")

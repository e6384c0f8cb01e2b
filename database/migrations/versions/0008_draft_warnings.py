"""Store what is left out of a draft."""

from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | None = None
depends_on: str | None = None

UPGRADE = """
-- Sentences for the reviewer: fields of the lead that are left out, and a greeting without a name.
ALTER TABLE app.email_drafts ADD COLUMN warnings jsonb NOT NULL DEFAULT '[]';
"""


def upgrade() -> None:
    """Apply the change."""
    op.get_bind().exec_driver_sql(UPGRADE, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Undo the change."""
    op.execute("ALTER TABLE app.email_drafts DROP COLUMN warnings")

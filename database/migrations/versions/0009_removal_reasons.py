"""Let an erasure clear the source and the reason of removed suppressions."""

from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | None = None
depends_on: str | None = None

UPGRADE = """
-- These are free text, which may contain the address of an erased person.
GRANT UPDATE (source, removed_because) ON app.suppression_removals TO salesmatter_app;
"""


def upgrade() -> None:
    """Apply the change."""
    op.get_bind().exec_driver_sql(UPGRADE, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Undo the change."""
    op.execute("REVOKE UPDATE (source, removed_because) ON app.suppression_removals FROM salesmatter_app")

"""Let an erasure clear the causes in the history of leads and enrollments."""

from alembic import op

revision: str = "0019"
down_revision: str | None = "0018"
branch_labels: str | None = None
depends_on: str | None = None

UPGRADE = """
-- A cause may contain what a user wrote, and so the address of an erased person.
GRANT UPDATE (cause) ON app.lead_events, app.enrollment_events TO salesmatter_app;
"""


def upgrade() -> None:
    """Apply the change."""
    op.get_bind().exec_driver_sql(UPGRADE, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Undo the change."""
    op.execute("REVOKE UPDATE (cause) ON app.lead_events, app.enrollment_events FROM salesmatter_app")

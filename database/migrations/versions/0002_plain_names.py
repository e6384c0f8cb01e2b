"""Give two columns and the function that authenticates a credential standard names."""

from pathlib import Path

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    statements = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Restore the earlier names; the parameter of the function keeps its name."""
    op.execute("ALTER FUNCTION app.authenticate_credential RENAME TO enter_by_credential")
    op.execute("ALTER TABLE app.send_slots RENAME COLUMN is_used TO made")
    op.execute("ALTER TABLE app.ai_usage RENAME COLUMN requests TO asked")

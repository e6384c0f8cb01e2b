"""The whole schema, from the SQL files of `baseline/` in the order of their names."""

from pathlib import Path

from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

BASELINE = Path(__file__).parents[1] / "baseline"


def upgrade() -> None:
    """Apply the change."""
    connection = op.get_bind()
    for file in sorted(BASELINE.glob("*.sql")):
        # Without parameters, so that the driver takes several statements at once and reads no `%` as a placeholder.
        connection.exec_driver_sql(file.read_text(encoding="utf-8"), execution_options={"no_parameters": True})


def downgrade() -> None:
    """Drop everything, unless dbt has built marts: `analytics` is dropped only while it is empty."""
    op.execute("DROP SCHEMA analytics")
    op.execute("DROP SCHEMA everlytic, app CASCADE")
    op.execute("REVOKE ALL ON public.alembic_version FROM salesmatter_app, salesmatter_engine")

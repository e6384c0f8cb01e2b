"""Replies: the identity of a message, what a report says, and why a user must review a message."""

from pathlib import Path

from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | None = None
depends_on: str | None = None

STATEMENTS = Path(__file__).with_suffix(".sql")


def upgrade() -> None:
    """Apply the change."""
    text = STATEMENTS.read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(text, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Go back to one message per message id; fails while two messages share one."""
    op.execute("DROP INDEX app.uq_replies_workspace_id_identity_hash")
    op.execute("ALTER TABLE app.replies DROP COLUMN identity_hash, DROP COLUMN report, DROP COLUMN review_reason")
    op.execute("CREATE UNIQUE INDEX uq_replies_workspace_id_message_id ON app.replies (workspace_id, message_id)")

"""A sent mail is found by what Everlytic calls it; polled events by when they arrived, replies by when they changed."""

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Apply the change."""
    op.create_index(
        "ix_send_attempts_transactions",
        "send_attempts",
        ["workspace_id", "everlytic_transaction_id"],
        schema="app",
        postgresql_where=sa.text("length(everlytic_transaction_id) <= 255"),
    )
    op.create_index(
        "ix_callback_events_synced_at", "callback_events", ["synced_at"], schema="everlytic", postgresql_using="brin"
    )
    changed = sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)
    op.add_column("replies", changed, schema="app")
    op.execute(
        "CREATE TRIGGER touch_updated_at BEFORE UPDATE ON app.replies "
        "FOR EACH ROW EXECUTE FUNCTION app.touch_updated_at()"
    )
    op.drop_index("ix_replies_created_at", "replies", schema="app")
    op.create_index("ix_replies_updated_at", "replies", ["updated_at"], schema="app")
    # dbt counts on from what it has counted, and its columns are others now: the next build counts from the beginning.
    op.execute("DROP TABLE IF EXISTS intermediate.int_messages__engagement")


def downgrade() -> None:
    """Take the change back."""
    op.drop_index("ix_replies_updated_at", "replies", schema="app")
    op.create_index("ix_replies_created_at", "replies", ["created_at"], schema="app")
    op.execute("DROP TRIGGER touch_updated_at ON app.replies")
    op.drop_column("replies", "updated_at", schema="app")
    op.drop_index("ix_callback_events_synced_at", "callback_events", schema="everlytic")
    op.drop_index("ix_send_attempts_transactions", "send_attempts", schema="app")

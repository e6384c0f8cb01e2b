"""Count complaints over a sample of their own and by day, and lower the rates that pause a sequence."""

from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | None = None
depends_on: str | None = None

UPGRADE = """
ALTER TABLE app.workspaces
  -- How many of a sequence's latest mails count for the complaint rate; guard_sample is for bounces.
  ADD COLUMN complaint_sample int NOT NULL DEFAULT 1000,
  -- As many complaints on one day pause a sequence.
  ADD COLUMN max_daily_complaints int DEFAULT 3,
  ADD CONSTRAINT ck_workspaces_complaint_sample CHECK (complaint_sample > 0),
  ADD CONSTRAINT ck_workspaces_max_daily_complaints CHECK (max_daily_complaints > 0);

-- Existing workspaces keep their rates, so their complaint rate keeps its sample, and they get no daily limit.
ALTER TABLE app.workspaces DISABLE TRIGGER USER;
UPDATE app.workspaces SET complaint_sample = guard_sample, max_daily_complaints = NULL;
ALTER TABLE app.workspaces ENABLE TRIGGER USER;

ALTER TABLE app.workspaces
  ALTER COLUMN max_bounce_rate SET DEFAULT '0.05',
  ALTER COLUMN max_complaint_rate SET DEFAULT '0.001';
"""


def upgrade() -> None:
    """Apply the change."""
    op.get_bind().exec_driver_sql(UPGRADE, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Undo the change."""
    op.execute("ALTER TABLE app.workspaces DROP COLUMN complaint_sample, DROP COLUMN max_daily_complaints")
    op.execute(
        "ALTER TABLE app.workspaces ALTER COLUMN max_bounce_rate SET DEFAULT '0.08',"
        " ALTER COLUMN max_complaint_rate SET DEFAULT '0.01'"
    )

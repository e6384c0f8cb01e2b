"""The recipient, subject and template of a mail stay with its send attempt, whatever its lead becomes."""

from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None

UPGRADE = """
-- Which text of its step's templates a draft was written from; null before it is written.
ALTER TABLE app.email_drafts ADD COLUMN template_version text;

ALTER TABLE app.send_attempts
  -- The canonical address that the mail was sent to; null after erasure, and for an attempt that was found out later.
  ADD COLUMN recipient text,
  -- The hash of an erased recipient, by which an old link still suppresses it.
  ADD COLUMN recipient_hash text,
  -- What the mail said, and of which template; a draft may change until it is claimed again.
  ADD COLUMN subject text NOT NULL DEFAULT '',
  ADD COLUMN template_version text;

UPDATE app.send_attempts AS attempt
   SET recipient = nullif(lead.email, ''), subject = draft.subject
  FROM app.email_drafts AS draft JOIN app.leads AS lead ON lead.id = draft.lead_id
 WHERE draft.id = attempt.draft_id;

-- Replies and provider events that name no mail are matched by the address that was mailed.
CREATE INDEX ix_send_attempts_workspace_id_recipient ON app.send_attempts (workspace_id, recipient);
"""

DOWNGRADE = """
DROP INDEX app.ix_send_attempts_workspace_id_recipient;
ALTER TABLE app.send_attempts
  DROP COLUMN recipient, DROP COLUMN recipient_hash, DROP COLUMN subject, DROP COLUMN template_version;
ALTER TABLE app.email_drafts DROP COLUMN template_version;
"""


def upgrade() -> None:
    """Apply the change."""
    op.get_bind().exec_driver_sql(UPGRADE, execution_options={"no_parameters": True})


def downgrade() -> None:
    """Undo the change."""
    op.get_bind().exec_driver_sql(DOWNGRADE, execution_options={"no_parameters": True})

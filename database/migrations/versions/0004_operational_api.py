"""What the operational API stands on: logins by token, kept answers, removals of suppressions, leads in order."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from database.tenancy import account_policy, change_triggers, credential_policy, workspace_policy

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None

EVENTS = (
    "paused",
    "hard_bounced",
    "out_of_office",
    "reply_received",
    "all_steps_done",
    "unsubscribed",
    "resumed",
    "stopped",
)
LIVE = sa.text("deleted_at IS NULL")
LIVE_OF_A_SEGMENT = sa.text("deleted_at IS NULL AND segment IS NOT NULL")
LEAD_LISTINGS = (["workspace_id", "id"], ["workspace_id", "list_id", "id"])
# What the other keys of these rows imply; checking them was a third of the time of enrolling many.
IMPLIED_KEYS = (
    ("email_drafts", "workspace_id", "workspaces"),
    ("email_drafts", "lead_id", "leads"),
    ("email_drafts", "sequence_id", "sequences"),
    ("lead_enrollments", "workspace_id", "workspaces"),
)
LEAD_ORDERS = ("status", "updated_at", "last_name", "company")
LIST_ORDERS = (
    ("suppressions", ("workspace_id", "id")),
    ("suppressions", ("workspace_id", "reason", "id")),
    ("email_events", ("workspace_id", "id")),
    ("email_events", ("workspace_id", "occurred_at", "id")),
    ("replies", ("workspace_id", "received_at", "id")),
    ("replies", ("enrollment_id",)),
)
RARE = (
    (
        "ix_email_events_stops",
        "email_events",
        ("workspace_id", "type", "id"),
        "type IN ('bounced', 'complained', 'unsubscribed')",
    ),
    ("ix_scheduled_jobs_ended_badly", "scheduled_jobs", ("workspace_id", "id"), "status IN ('failed', 'cancelled')"),
)

CURRENT_VERIFIED_EMAIL = """
CREATE FUNCTION app.current_verified_email() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT nullif(current_setting('app.verified_email', true), '')
$$
"""

# All that a request must know before its own statement, in one round trip. Runs as its caller: each step sees only what
# row-level security shows to the scope that the step before has entered.
ENTER_BY_CREDENTIAL = """
CREATE FUNCTION app.enter_by_credential(credential text, wanted uuid, timeout text, page_cost text)
RETURNS TABLE (account_id uuid, user_id uuid, role text, workspace app.workspaces) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  key app.api_keys;
  person app.users;
BEGIN
  PERFORM set_config('app.credential_hash', credential, true), set_config('app.account_id', '', true),
          set_config('app.workspace_id', '', true), set_config('statement_timeout', timeout, true),
          set_config('random_page_cost', page_cost, true);
  SELECT * INTO key FROM app.api_keys WHERE secret_hash = credential AND revoked_at IS NULL;
  IF FOUND THEN
    PERFORM set_config('app.account_id', key.account_id::text, true);
    SELECT * INTO person FROM app.users WHERE id = key.user_id;
  ELSE
    SELECT * INTO person FROM app.users WHERE subject_hash = credential;
    PERFORM set_config('app.account_id', person.account_id::text, true);
  END IF;
  IF person.id IS NULL THEN
    RETURN;
  END IF;
  -- Once a minute, so that reads stay reads; whoever writes it now is not waited for.
  IF key.id IS NOT NULL AND coalesce(key.last_used_at < now() - interval '1 minute', true) THEN
    UPDATE app.api_keys SET last_used_at = now()
     WHERE id = (SELECT id FROM app.api_keys WHERE id = key.id FOR UPDATE SKIP LOCKED);
  END IF;
  account_id := person.account_id;
  user_id := person.id;
  role := person.role;
  SELECT * INTO workspace FROM app.workspaces WHERE id = wanted AND deleted_at IS NULL;
  IF FOUND THEN
    PERFORM set_config('app.workspace_id', wanted::text, true);
  END IF;
  RETURN NEXT;
END
$$
"""


# A job holds its workspace so that it is not deleted under it; to hold is to be allowed to update, and that is all.
HOLD = """
CREATE POLICY hold ON app.workspaces FOR UPDATE TO salesmatter_app
  USING (id = (SELECT app.current_workspace())) WITH CHECK (false)
"""


def upgrade() -> None:
    """Apply the change."""
    _let_people_in()
    _keep_answers()
    _record_removals()
    _shape_leads()
    _order_lists()
    _allow_events(EVENTS)
    for table, column, _ in IMPLIED_KEYS:
        op.drop_constraint(f"fk_{table}_{column}", table, schema="app")


def _let_people_in() -> None:
    op.add_column("users", sa.Column("subject_hash", sa.Text()), schema="app")
    op.create_unique_constraint("uq_users_subject_hash", "users", ["subject_hash"], schema="app")
    op.execute(CURRENT_VERIFIED_EMAIL)
    op.execute(credential_policy("app.users", "subject_hash"))
    op.execute(
        "CREATE POLICY verified_email ON app.users FOR SELECT TO salesmatter_app "
        "USING (lower(email) = (SELECT app.current_verified_email()))"
    )
    op.execute(ENTER_BY_CREDENTIAL)
    op.execute(HOLD)


def _keep_answers() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("user_id", sa.UUID(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("headers", postgresql.JSONB()),
        sa.Column("encrypted_body", sa.Text()),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_idempotency_keys"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["app.accounts.id"], name="fk_idempotency_keys_account_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["app.users.id"], name="fk_idempotency_keys_user_id", ondelete="CASCADE"),
        schema="app",
    )
    op.create_index(
        "uq_idempotency_keys_user_id_key", "idempotency_keys", ["user_id", "key"], unique=True, schema="app"
    )
    op.create_index(
        "ix_idempotency_keys_account_id_created_at", "idempotency_keys", ["account_id", "created_at"], schema="app"
    )
    _run(account_policy("app.idempotency_keys"))
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON app.idempotency_keys TO salesmatter_app")


def _record_removals() -> None:
    reasons = "'unsubscribed', 'hard_bounce', 'complaint', 'manual', 'domain'"
    op.create_table(
        "suppression_removals",
        sa.Column("id", sa.UUID(), server_default=sa.text("app.uuidv7()"), nullable=False),
        sa.Column("workspace_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text()),
        sa.Column("value_hash", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("suppressed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_because", sa.Text(), nullable=False),
        sa.Column("removed_by", sa.UUID(), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_suppression_removals"),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["app.workspaces.id"], name="fk_suppression_removals_workspace_id", ondelete="CASCADE"
        ),
        sa.CheckConstraint(f"reason IN ({reasons})", name=op.f("ck_suppression_removals_reason")),
        schema="app",
    )
    op.create_index(
        "ix_suppression_removals_workspace_id_id", "suppression_removals", ["workspace_id", "id"], schema="app"
    )
    op.create_index(
        "ix_suppression_removals_workspace_id_value_hash",
        "suppression_removals",
        ["workspace_id", "value_hash"],
        schema="app",
    )
    _run(workspace_policy("app.suppression_removals"))
    _run(change_triggers("app.suppression_removals"))
    # Erasure takes the plain value away; nothing else of a record changes.
    op.execute("GRANT SELECT, INSERT, UPDATE (value) ON app.suppression_removals TO salesmatter_app")


def _shape_leads() -> None:
    op.add_column("leads", sa.Column("erased_at", sa.DateTime(timezone=True)), schema="app")
    for column in LEAD_ORDERS:
        name = f"ix_leads_workspace_id_{column}_id"
        op.create_index(name, "leads", ["workspace_id", column, "id"], schema="app", postgresql_where=LIVE)
    for columns in LEAD_LISTINGS:
        _replace_index("leads", columns, LIVE)
    op.create_index(
        "ix_leads_deleted",
        "leads",
        ["workspace_id", "email"],
        schema="app",
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
    name = "ix_leads_workspace_id_segment_id"
    op.create_index(name, "leads", ["workspace_id", "segment", "id"], schema="app", postgresql_where=LIVE_OF_A_SEGMENT)
    op.execute("UPDATE app.leads SET email = lower(email) WHERE email <> lower(email)")
    op.create_check_constraint(op.f("ck_leads_email"), "leads", "email = lower(email)", schema="app")
    _index_addresses("email")
    op.create_index("ix_lead_enrollments_lead_id", "lead_enrollments", ["lead_id"], schema="app")
    op.create_index("ix_replies_lead_id", "replies", ["lead_id"], schema="app")


def _order_lists() -> None:
    # As volatile as what it calls, or Postgres does not inline it, and a hash costs three times as much.
    op.execute("ALTER FUNCTION app.suppression_hash(uuid, text) STABLE")
    op.drop_index("ix_email_events_workspace_id_occurred_at", "email_events", schema="app")
    op.drop_index("ix_replies_workspace_id_received_at", "replies", schema="app")
    for table, columns in LIST_ORDERS:
        name = f"ix_{table}_{'_'.join(columns)}"
        op.create_index(name, table, list(columns), schema="app")
    for name, table, columns, condition in RARE:
        op.create_index(name, table, list(columns), schema="app", postgresql_where=sa.text(condition))


def _unorder_lists() -> None:
    op.execute("ALTER FUNCTION app.suppression_hash(uuid, text) IMMUTABLE")
    for name, table, _, _ in RARE:
        op.drop_index(name, table, schema="app")
    for table, columns in LIST_ORDERS:
        op.drop_index(f"ix_{table}_{'_'.join(columns)}", table, schema="app")
    op.create_index("ix_replies_workspace_id_received_at", "replies", ["workspace_id", "received_at"], schema="app")
    op.create_index(
        "ix_email_events_workspace_id_occurred_at", "email_events", ["workspace_id", "occurred_at"], schema="app"
    )


def _replace_index(table: str, columns: list[str], where: sa.TextClause | None) -> None:
    name = f"ix_{table}_{'_'.join(columns)}"
    op.drop_index(name, table, schema="app")
    op.create_index(name, table, columns, schema="app", postgresql_where=where)


def _index_addresses(expression: str) -> None:
    op.drop_index("uq_leads_workspace_id_email", "leads", schema="app")
    op.create_index(
        "uq_leads_workspace_id_email",
        "leads",
        ["workspace_id", sa.text(expression)],
        unique=True,
        schema="app",
        postgresql_where=LIVE,
    )


def _allow_events(events: tuple[str, ...]) -> None:
    listed = ", ".join(f"'{event}'" for event in events)
    op.drop_constraint(op.f("ck_enrollment_events_event"), "enrollment_events", schema="app")
    op.create_check_constraint(
        op.f("ck_enrollment_events_event"), "enrollment_events", f"event IN ({listed})", schema="app"
    )


def _run(statements: list[str]) -> None:
    for statement in statements:
        op.execute(statement)


def downgrade() -> None:
    """Take the change back."""
    for table, column, target in IMPLIED_KEYS:
        name = f"fk_{table}_{column}"
        op.create_foreign_key(
            name, table, target, [column], ["id"], source_schema="app", referent_schema="app", ondelete="CASCADE"
        )
    op.execute("DELETE FROM app.enrollment_events WHERE event = 'stopped'")
    _allow_events(EVENTS[:-1])
    _unorder_lists()
    op.drop_index("ix_replies_lead_id", "replies", schema="app")
    op.drop_index("ix_lead_enrollments_lead_id", "lead_enrollments", schema="app")
    _index_addresses("lower(email)")
    op.drop_constraint(op.f("ck_leads_email"), "leads", schema="app")
    op.drop_index("ix_leads_workspace_id_segment_id", "leads", schema="app")
    op.drop_index("ix_leads_deleted", "leads", schema="app")
    for columns in LEAD_LISTINGS:
        _replace_index("leads", columns, None)
    for column in LEAD_ORDERS:
        op.drop_index(f"ix_leads_workspace_id_{column}_id", "leads", schema="app")
    op.drop_column("leads", "erased_at", schema="app")
    op.drop_table("suppression_removals", schema="app")
    op.drop_table("idempotency_keys", schema="app")
    op.execute("DROP POLICY hold ON app.workspaces")
    op.execute("DROP FUNCTION app.enter_by_credential(text, uuid, text, text)")
    op.execute("DROP POLICY verified_email ON app.users")
    op.execute("DROP POLICY credential ON app.users")
    op.execute("DROP FUNCTION app.current_verified_email()")
    op.drop_column("users", "subject_hash", schema="app")

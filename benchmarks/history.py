"""Writes a history of sent emails with set-based statements: tenants, sequences, emails, events and replies.

More events mean more tenants, not more emails per day, because a tenant's daily cap limits those. Each tenant has 60
days of ten sequences with three steps; an email has 2.7 events, most of them within hours.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import psycopg
from psycopg import sql

from benchmarks.progress import Progress

DAYS, SEQUENCES, STEPS, EVENTS_PER_MESSAGE = 60, 10, 3, 2.65
EVENTS_PER_TENANT = 500_000
TABLES = ("lead_enrollments", "email_drafts", "send_attempts", "email_events", "replies")

_ADD_TENANT = """
WITH account AS (INSERT INTO app.accounts (name) VALUES (%(name)s) RETURNING id), workspace AS (
  INSERT INTO app.workspaces (account_id, name, default_from_name, default_from_email, timezone)
  SELECT id, %(name)s, 'Ann Bell', 'ann@bench.example', %(timezone)s FROM account RETURNING id
), sequence AS (
  INSERT INTO app.sequences (workspace_id, name, status)
  SELECT id, 'Sequence ' || n, 'Active' FROM workspace, generate_series(1, %(sequences)s) AS n
  RETURNING id, workspace_id
), step AS (
  INSERT INTO app.sequence_steps (workspace_id, sequence_id, step_order)
  SELECT workspace_id, id, n FROM sequence, generate_series(1, %(steps)s) AS n
), lead AS (
  INSERT INTO app.leads (workspace_id, email)
  SELECT id, 'lead' || n || '@bench.example' FROM workspace, generate_series(1, %(leads)s) AS n
)
SELECT id FROM workspace
"""
_ADD_ENROLLMENTS = """
INSERT INTO app.lead_enrollments (workspace_id, lead_id, sequence_id, current_step_order, status, enrolled_at)
SELECT lead.workspace_id, lead.id, sequence.id, %(steps)s, 'completed',
       %(starts)s + random() * %(days)s * interval '1 day'
  FROM app.leads AS lead JOIN app.sequences AS sequence USING (workspace_id)
 WHERE lead.workspace_id = ANY(%(workspaces)s)
"""
_ADD_DRAFTS = """
INSERT INTO app.email_drafts
       (workspace_id, lead_id, enrollment_id, sequence_id, step_id, step_order, subject, status, sent_at)
SELECT enrollment.workspace_id, lead_id, enrollment.id, sequence_id, step.id, step_order, 'Hello', 'sent', sent.at
  FROM app.lead_enrollments AS enrollment JOIN app.sequence_steps AS step USING (workspace_id, sequence_id)
 CROSS JOIN LATERAL (SELECT enrolled_at + (step_order - 1) * interval '3 days' AS at) AS sent
 WHERE enrollment.workspace_id = ANY(%(workspaces)s) AND sent.at < %(ends)s
 ORDER BY sent.at
"""
_ADD_ATTEMPTS = """
INSERT INTO app.send_attempts (workspace_id, draft_id, claimed_at, outcome, everlytic_transaction_id, recorded_at)
SELECT workspace_id, id, sent_at, 'accepted', id::text, sent_at FROM app.email_drafts
 WHERE workspace_id = ANY(%(workspaces)s) ORDER BY sent_at
"""
_ADD_EVENTS = """
WITH drawn AS (
  SELECT id, workspace_id, sent_at, random() AS fate, random() AS machine, random() AS human, random() AS click,
         random() ^ 3 * interval '10 days' AS later
    FROM app.email_drafts WHERE workspace_id = ANY(%(workspaces)s)
), happened AS (
  SELECT id, workspace_id, type, verdict, data, sent_at + after AS at
    FROM drawn CROSS JOIN LATERAL (VALUES
         ('sent', NULL, '{}'::jsonb, interval '1 second', true),
         ('delivered', NULL, '{}', interval '20 seconds', fate < 0.96),
         ('bounced', NULL, '{"bounce_type": "hard"}', interval '1 minute', fate >= 0.97),
         ('opened', 'machine', '{}', interval '22 seconds', fate < 0.96 AND machine < 0.25),
         ('opened', 'human', '{}', later, fate < 0.96 AND human < 0.38),
         ('clicked', 'human', '{}', later + interval '1 minute', fate < 0.96 AND human < 0.38 AND click < 0.3),
         ('unsubscribed', NULL, '{}', later + interval '5 minutes', fate < 0.01)
    ) AS possible (type, verdict, data, after, happens)
   WHERE happens AND sent_at + after < %(ends)s
)
INSERT INTO app.email_events
       (workspace_id, draft_id, provider_event_key, type, verdict, data, occurred_at, synced_at)
SELECT workspace_id, id, md5(id::text || type || at), type, verdict, data, at, at FROM happened
 ORDER BY at LIMIT %(events)s
"""
_ADD_REPLIES = """
INSERT INTO app.replies (workspace_id, lead_id, enrollment_id, draft_id, message_id, from_email, is_automatic,
                         received_at, updated_at)
SELECT workspace_id, lead_id, enrollment_id, id, id::text, 'lead@bench.example', false, at, at
  FROM app.email_drafts CROSS JOIN LATERAL (SELECT sent_at + random() * interval '3 days' AS at) AS answered
 WHERE workspace_id = ANY(%(workspaces)s) AND at < %(ends)s AND random() < 0.02
"""
# Of the new events, 50 % belong to emails of the last two days, 30 % to emails of the last week, and 20 % to any email.
_ADD_RECENT_EVENTS = """
WITH edges AS (SELECT max(sent_at) AS newest FROM app.email_drafts), picked AS (
  SELECT id, workspace_id, sent_at FROM (
    (SELECT id, workspace_id, sent_at FROM app.email_drafts, edges
      WHERE sent_at > newest - interval '2 days' ORDER BY random() LIMIT %(events)s * 5 / 10)
    UNION ALL
    (SELECT id, workspace_id, sent_at FROM app.email_drafts, edges
      WHERE sent_at > newest - interval '7 days' ORDER BY random() LIMIT %(events)s * 3 / 10)
    UNION ALL
    (SELECT id, workspace_id, sent_at FROM app.email_drafts ORDER BY random() LIMIT %(events)s * 2 / 10)
  ) AS chosen
)
INSERT INTO app.email_events (workspace_id, draft_id, provider_event_key, type, verdict, occurred_at)
SELECT workspace_id, id, gen_random_uuid()::text, CASE WHEN random() < 0.8 THEN 'opened' ELSE 'clicked' END,
       CASE WHEN random() < 0.7 THEN 'human' ELSE 'machine' END, greatest(sent_at, now() - interval '1 minute')
  FROM picked
"""
_INDEXES = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
 WHERE indrelid = %s::regclass AND NOT indisprimary
"""
_KEYS = """
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'f'
"""


def write_history(connection: psycopg.Connection, events: int, ends: datetime, progress: Progress) -> Sequence[object]:
    """Write `events` events of 60 days up to `ends` (aware) into an empty database, as its owner.

    Returns the ids of the workspaces, one for each half million events. Events arrived at the time of their occurrence.
    """
    tenants = max(events // EVENTS_PER_TENANT, 1)
    messages = events / EVENTS_PER_MESSAGE / tenants
    # Leads enrolled in the last days have not received all steps yet.
    share_sent = 1 - 3 * (STEPS - 1) / 2 / DAYS
    leads = round(messages / SEQUENCES / STEPS / share_sent)
    progress(f"Writing a history of {events:,} events in {tenants} workspaces.")
    workspaces = [_add_tenant(connection, number, leads) for number in range(tenants)]
    parameters = {
        "workspaces": workspaces,
        "steps": STEPS,
        "days": DAYS,
        "starts": ends - timedelta(days=DAYS),
        "ends": ends,
        "events": events,
    }
    with _without_indexes(connection, TABLES):
        for statement in (_ADD_ENROLLMENTS, _ADD_DRAFTS, _ADD_ATTEMPTS, _ADD_EVENTS, _ADD_REPLIES):
            connection.execute(statement.encode(), parameters)
    connection.execute("VACUUM (ANALYZE)")
    return workspaces


def add_recent_events(connection: psycopg.Connection, events: int) -> None:
    """Add opens and clicks that arrive now: most for recent emails, a fifth for emails of any age."""
    connection.execute(_ADD_RECENT_EVENTS.encode(), {"events": events})


def _add_tenant(connection: psycopg.Connection, number: int, leads: int) -> object:
    parameters = {
        "name": f"Tenant {number}",
        "timezone": ("Africa/Johannesburg", "Europe/London", "America/New_York", "Asia/Kolkata")[number % 4],
        "sequences": SEQUENCES,
        "steps": STEPS,
        "leads": leads,
    }
    row = connection.execute(_ADD_TENANT.encode(), parameters).fetchone()
    assert row is not None
    return row[0]


@contextmanager
def _without_indexes(connection: psycopg.Connection, tables: Sequence[str]) -> Iterator[None]:
    """Drop the indexes and foreign keys of tables while they are filled, which makes the inserts ten times as fast."""
    indexes: list[str] = []
    for table in tables:
        name = f"app.{table}"
        for index, definition in connection.execute(_INDEXES, [name]).fetchall():
            connection.execute(sql.SQL("DROP INDEX ") + sql.SQL(index))
            indexes.append(definition)
    keys = [(table, *key) for table in tables for key in connection.execute(_KEYS, [f"app.{table}"]).fetchall()]
    for table, key, _ in keys:
        connection.execute(
            sql.SQL("ALTER TABLE app.{} DROP CONSTRAINT {}").format(sql.Identifier(table), sql.Identifier(key))
        )
    yield
    for definition in indexes:
        connection.execute(definition.encode())
    for table, key, definition in keys:
        connection.execute(
            sql.SQL("ALTER TABLE app.{} ADD CONSTRAINT {} {} NOT VALID").format(
                sql.Identifier(table), sql.Identifier(key), sql.SQL(definition)
            )
        )

"""Writes workspaces, sent messages, events and replies into a migrated database, for tests that count them."""

from datetime import datetime
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from domain.bounce import classify_bounce
from tests.business_clock import business_now


class History:
    """Inserts rows of the operational tables as the API does; every method returns the id of the new row.

    A row that `arrived` more than a day ago was written by an early transaction; other rows by the present one.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self._leads = 0

    def add_workspace(self, name: str = "Acme", timezone: str = "Africa/Johannesburg") -> UUID:
        """Insert an account with one workspace."""
        return self._insert(
            """
            WITH account AS (INSERT INTO app.accounts (name) VALUES (%(name)s) RETURNING id)
            INSERT INTO app.workspaces (account_id, name, default_from_name, default_from_email, timezone)
            SELECT id, %(name)s, 'Rep', 'rep@example.test', %(timezone)s FROM account RETURNING id
            """,
            name=name,
            timezone=timezone,
        )

    def add_sequence(self, workspace: UUID, name: str = "Spring", steps: int = 2) -> UUID:
        """Insert an active sequence with steps."""
        sequence = self._insert(
            "INSERT INTO app.sequences (workspace_id, name, status) VALUES (%(workspace)s, %(name)s, 'Active') "
            "RETURNING id",
            workspace=workspace,
            name=name,
        )
        for order in range(1, steps + 1):
            self._insert(
                "INSERT INTO app.sequence_steps (workspace_id, sequence_id, step_order) "
                "VALUES (%(workspace)s, %(sequence)s, %(order)s) RETURNING id",
                workspace=workspace,
                sequence=sequence,
                order=order,
            )
        return sequence

    def add_draft(self, sequence: UUID, step: int = 1, email: str | None = None) -> UUID:
        """Insert a lead with an enrollment and a draft that has not been sent."""
        self._leads += 1
        return self._insert(
            """
            WITH step AS (
                SELECT workspace_id, sequence_id, id AS step_id, step_order FROM app.sequence_steps
                WHERE sequence_id = %(sequence)s AND step_order = %(step)s
            ), lead AS (
                INSERT INTO app.leads (workspace_id, email) SELECT workspace_id, %(email)s FROM step RETURNING id
            ), enrollment AS (
                INSERT INTO app.lead_enrollments (workspace_id, lead_id, sequence_id, current_step_order, enrolled_at)
                SELECT workspace_id, lead.id, sequence_id, 1, %(now)s FROM step, lead RETURNING id
            )
            INSERT INTO app.email_drafts
                (workspace_id, lead_id, enrollment_id, sequence_id, step_id, step_order, status)
            SELECT workspace_id, lead.id, enrollment.id, sequence_id, step_id, step_order, 'reviewed'
            FROM step, lead, enrollment RETURNING id
            """,
            sequence=sequence,
            step=step,
            email=email or f"lead-{self._leads}@example.test",
            now=business_now(),
        )

    def accept(self, message: UUID, at: datetime, arrived: datetime | None = None) -> UUID:
        """Record that Everlytic accepted a draft at business time `at`, and at database time `arrived`."""
        self.connection.execute(
            "UPDATE app.email_drafts SET status = 'sent', sent_at = %s WHERE id = %s", (at, message)
        )
        return self._insert(
            """
            INSERT INTO app.send_attempts
                (workspace_id, draft_id, claimed_at, outcome, everlytic_transaction_id, recorded_at, written_by)
            SELECT workspace_id, id, %(at)s, 'accepted', id::text, coalesce(%(arrived)s, now()),
                   CASE WHEN %(arrived)s < now() - interval '1 day' THEN '3' ELSE pg_current_xact_id() END
            FROM app.email_drafts WHERE id = %(message)s RETURNING draft_id
            """,
            message=message,
            at=at,
            arrived=arrived,
        )

    def add_sent_message(self, sequence: UUID, at: datetime, step: int = 1, arrived: datetime | None = None) -> UUID:
        """Insert a draft that Everlytic accepted."""
        return self.accept(self.add_draft(sequence, step), at, arrived)

    def add_event(
        self,
        message: UUID,
        kind: str,
        at: datetime,
        verdict: str | None = None,
        arrived: datetime | None = None,
        **data: str,
    ) -> UUID:
        """Insert an event of a message at business time `at`."""
        return self._insert(
            """
            INSERT INTO app.email_events
                (workspace_id, draft_id, provider_event_key, type, data, verdict, occurred_at, synced_at, bounce_kind,
                 written_by)
            SELECT workspace_id, id, gen_random_uuid()::text, %(kind)s, %(data)s, %(verdict)s, %(at)s,
                   coalesce(%(arrived)s, now()), %(bounce_kind)s,
                   CASE WHEN %(arrived)s < now() - interval '1 day' THEN '3' ELSE pg_current_xact_id() END
            FROM app.email_drafts WHERE id = %(message)s RETURNING id
            """,
            message=message,
            kind=kind,
            at=at,
            verdict=verdict,
            data=Jsonb(data),
            bounce_kind=classify_bounce(data).value if kind == "bounced" else None,
            arrived=arrived,
        )

    def add_reply(
        self, message: UUID, at: datetime, *, automatic: bool | None = False, arrived: datetime | None = None
    ) -> UUID:
        """Insert a reply of the recipient; `automatic=None` means not classified yet."""
        return self._insert(
            """
            INSERT INTO app.replies (workspace_id, lead_id, enrollment_id, draft_id, message_id, from_email,
                                     is_automatic, received_at, updated_at, written_by)
            SELECT workspace_id, lead_id, enrollment_id, id, gen_random_uuid()::text, 'lead@example.test',
                   %(automatic)s, %(at)s, coalesce(%(arrived)s, now()),
                   CASE WHEN %(arrived)s < now() - interval '1 day' THEN '3' ELSE pg_current_xact_id() END
            FROM app.email_drafts WHERE id = %(message)s RETURNING id
            """,
            message=message,
            at=at,
            automatic=automatic,
            arrived=arrived,
        )

    def _insert(self, statement: str, **values: object) -> UUID:
        row = self.connection.execute(statement.encode(), values).fetchone()
        assert row is not None
        row_id = row[0]
        assert isinstance(row_id, UUID)
        return row_id

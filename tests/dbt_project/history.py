"""Writes a history of sent mail into a migrated database, row by row, so that a test can count it by hand."""

from datetime import datetime
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from tests.business_clock import business_now


class History:
    """Rows of the operational tables as the API writes them; every method returns the id of what it made."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self._leads = 0

    def workspace(self, name: str = "Acme", timezone: str = "Africa/Johannesburg") -> UUID:
        """Make an account with one workspace."""
        return self._one(
            """
            WITH account AS (INSERT INTO app.accounts (name) VALUES (%(name)s) RETURNING id)
            INSERT INTO app.workspaces (account_id, name, default_from_name, default_from_email, timezone)
            SELECT id, %(name)s, 'Rep', 'rep@example.test', %(timezone)s FROM account RETURNING id
            """,
            name=name,
            timezone=timezone,
        )

    def sequence(self, workspace: UUID, name: str = "Spring", steps: int = 2) -> UUID:
        """Make an active sequence with steps."""
        sequence = self._one(
            "INSERT INTO app.sequences (workspace_id, name, status) VALUES (%(workspace)s, %(name)s, 'Active') "
            "RETURNING id",
            workspace=workspace,
            name=name,
        )
        for order in range(1, steps + 1):
            self._one(
                "INSERT INTO app.sequence_steps (workspace_id, sequence_id, step_order) "
                "VALUES (%(workspace)s, %(sequence)s, %(order)s) RETURNING id",
                workspace=workspace,
                sequence=sequence,
                order=order,
            )
        return sequence

    def draft(self, sequence: UUID, step: int = 1, email: str | None = None) -> UUID:
        """Make a lead of its own with an enrollment and a draft that nobody has sent."""
        self._leads += 1
        return self._one(
            """
            WITH place AS (
                SELECT workspace_id, sequence_id, id AS step_id, step_order FROM app.sequence_steps
                WHERE sequence_id = %(sequence)s AND step_order = %(step)s
            ), lead AS (
                INSERT INTO app.leads (workspace_id, email) SELECT workspace_id, %(email)s FROM place RETURNING id
            ), enrollment AS (
                INSERT INTO app.lead_enrollments (workspace_id, lead_id, sequence_id, current_step_order, enrolled_at)
                SELECT workspace_id, lead.id, sequence_id, 1, %(now)s FROM place, lead RETURNING id
            )
            INSERT INTO app.email_drafts
                (workspace_id, lead_id, enrollment_id, sequence_id, step_id, step_order, status)
            SELECT workspace_id, lead.id, enrollment.id, sequence_id, step_id, step_order, 'reviewed'
            FROM place, lead, enrollment RETURNING id
            """,
            sequence=sequence,
            step=step,
            email=email or f"lead-{self._leads}@example.test",
            now=business_now(),
        )

    def accept(self, message: UUID, at: datetime, arrived: datetime | None = None) -> UUID:
        """Let the provider accept a draft at business time `at`; `arrived` is the database's clock then."""
        self.connection.execute(
            "UPDATE app.email_drafts SET status = 'sent', sent_at = %s WHERE id = %s", (at, message)
        )
        return self._one(
            """
            INSERT INTO app.send_attempts
                (workspace_id, draft_id, claimed_at, outcome, everlytic_transaction_id, recorded_at)
            SELECT workspace_id, id, %(at)s, 'accepted', id::text, coalesce(%(arrived)s, now()) FROM app.email_drafts
            WHERE id = %(message)s RETURNING draft_id
            """,
            message=message,
            at=at,
            arrived=arrived,
        )

    def sent(self, sequence: UUID, at: datetime, step: int = 1, arrived: datetime | None = None) -> UUID:
        """Make a draft that the provider accepted."""
        return self.accept(self.draft(sequence, step), at, arrived)

    def event(
        self,
        message: UUID,
        kind: str,
        at: datetime,
        verdict: str | None = None,
        arrived: datetime | None = None,
        **data: str,
    ) -> UUID:
        """Let the provider tell of a message that something happened at business time `at`."""
        return self._one(
            """
            INSERT INTO app.email_events
                (workspace_id, draft_id, provider_event_key, type, data, verdict, occurred_at, synced_at)
            SELECT workspace_id, id, gen_random_uuid()::text, %(kind)s, %(data)s, %(verdict)s, %(at)s,
                   coalesce(%(arrived)s, now())
            FROM app.email_drafts WHERE id = %(message)s RETURNING id
            """,
            message=message,
            kind=kind,
            at=at,
            verdict=verdict,
            data=Jsonb(data),
            arrived=arrived,
        )

    def reply(
        self, message: UUID, at: datetime, *, automatic: bool | None = False, arrived: datetime | None = None
    ) -> UUID:
        """Let the recipient answer; `automatic=None` is not judged yet."""
        return self._one(
            """
            INSERT INTO app.replies (workspace_id, lead_id, enrollment_id, draft_id, message_id, from_email,
                                     is_automatic, received_at, updated_at)
            SELECT workspace_id, lead_id, enrollment_id, id, gen_random_uuid()::text, 'lead@example.test',
                   %(automatic)s, %(at)s, coalesce(%(arrived)s, now())
            FROM app.email_drafts WHERE id = %(message)s RETURNING id
            """,
            message=message,
            at=at,
            automatic=automatic,
            arrived=arrived,
        )

    def _one(self, statement: str, **values: object) -> UUID:
        row = self.connection.execute(statement.encode(), values).fetchone()
        assert row is not None
        made = row[0]
        assert isinstance(made, UUID)
        return made

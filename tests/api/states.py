"""Puts rows into any state as the owner of the tables, and reads what an event has changed, over all tables."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from unittest.mock import ANY
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.resources import Services
from database.tenancy import Scope, transaction
from tests.api.running import stop_clock
from tests.tables import ABSENT, BOOKKEEPING, Changes, Snapshot, changes, snapshot

NOW = datetime(2026, 3, 4, 10, tzinfo=UTC)
"""What the business clock shows while states are compared."""
EARLIER, LATER = datetime(2026, 3, 2, 10, tzinfo=UTC), datetime(2026, 3, 9, 10, tzinfo=UTC)
DRAFTS = (
    ("pending", None),
    ("drafted", None),
    ("reviewed", None),
    ("failed", None),
    ("reviewed", "claimed"),
    ("failed", "unknown"),
    ("failed", "rejected"),
    ("sent", "accepted"),
)
"""One draft of each status without an attempt to send it, and some with one, whatever its outcome."""

Row = dict[str, Any]


def moment(at: datetime) -> str:
    """Return a time as a snapshot shows it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}".rstrip("0").rstrip(".") + "+00:00"


@dataclass
class States:
    """The rows of one workspace, on a business clock that stands still."""

    services: Services
    url: str
    owner: psycopg.Connection[Row]
    workspace_id: str
    seen: Snapshot = field(default_factory=dict)

    def add(self, table: str, **values: object) -> str:
        """Insert a row of the workspace and return its id."""
        row = {"workspace_id": self.workspace_id, **values}
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING id").format(
            sql.Identifier("app", table),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.Placeholder() * len(row)),
        )
        cursor = self.owner.execute(
            statement, [Jsonb(value) if isinstance(value, dict) else value for value in row.values()]
        )
        (made,) = cursor.fetchall()
        return str(made["id"])

    def put(self, table: str, row_id: str, **values: object) -> None:
        """Change a row."""
        columns = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in values)
        statement = sql.SQL("UPDATE {} SET {} WHERE id = %s").format(sql.Identifier("app", table), columns)
        assert self.owner.execute(statement, [*values.values(), row_id]).rowcount == 1

    def row(self, table: str, row_id: str) -> Row:
        """Return a row."""
        statement = sql.SQL("SELECT * FROM {} WHERE id = %s").format(sql.Identifier("app", table))
        (row,) = self.owner.execute(statement, [row_id]).fetchall()
        return row

    def look(self) -> None:
        """Look at all tables, for `changed` to compare with."""
        self.seen = snapshot(self.url)

    def changed(self) -> Changes:
        """Return the changes since the last call of this or of `look`."""
        before, self.seen = self.seen, snapshot(self.url)
        return changes(before, self.seen, except_tables=BOOKKEEPING)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """Open a transaction in the workspace, as the app does."""
        async with transaction(self.services.pool, Scope(workspace_id=UUID(self.workspace_id))) as session:
            yield session

    def add_sequence(self, *, steps: int = 1, **values: object) -> tuple[str, list[str]]:
        """Make a sequence, active unless said otherwise, with steps that can be rendered; returns it and its steps."""
        sequence_id = self.add("sequences", **{"name": "Spring", "status": "Active", **values})
        return sequence_id, [
            self.add(
                "sequence_steps", sequence_id=sequence_id, step_order=order + 1, subject="Hello", body_template="Hello"
            )
            for order in range(steps)
        ]

    def add_connection(self, **values: object) -> str:
        """Connect the workspace to Everlytic."""
        names = ("transactional_url", "tenant_url", "username", "encrypted_key", "webhook_token_hash")
        usual = {name: name for name in (*names, "encrypted_webhook_password")}
        return self.add("everlytic_connections", **{**usual, **values})

    def add_lead(self, email: str, status: str = "Contacted", **values: object) -> str:
        """Make a lead."""
        return self.add("leads", email=email, status=status, **values)

    def add_enrollment(self, lead_id: str, sequence_id: str, status: str = "active", **values: object) -> str:
        """Make an enrollment as it stands in a status; one that is paused waits for its lead's return."""
        usual: Row = {"current_step_order": 1, "enrolled_at": EARLIER, "next_run_at": EARLIER}
        if status == "paused":
            usual |= {"pause_reason": "out_of_office", "resume_at": LATER}
        if status in {"completed", "unsubscribed"}:
            usual |= {"next_run_at": None, "completed_at": EARLIER if status == "completed" else None}
        row = {**usual, **values}
        return self.add("lead_enrollments", lead_id=lead_id, sequence_id=sequence_id, status=status, **row)

    def add_draft(
        self, enrollment_id: str, step_id: str, status: str = "reviewed", outcome: str | None = None, **values: object
    ) -> str:
        """Make a draft, with an attempt to send it where an outcome is named."""
        enrollment = self.row("lead_enrollments", enrollment_id)
        usual: Row = {name: enrollment[name] for name in ("lead_id", "sequence_id")}
        usual |= {"step_order": 1, "subject": "Hello", "body": "Hello", "send_at": EARLIER}
        usual |= {"sent_at": EARLIER if status == "sent" else None}
        usual |= {"error_reason": "it failed" if status == "failed" else None}
        row = {**usual, **values}
        draft_id = self.add("email_drafts", enrollment_id=enrollment_id, step_id=step_id, status=status, **row)
        if outcome is not None:
            self.add("send_attempts", draft_id=draft_id, outcome=outcome, claimed_at=EARLIER)
        return draft_id

    def add_drafts(self, enrollment_id: str, step_ids: list[str]) -> list[str]:
        """Make all of DRAFTS, one for each step."""
        return [
            self.add_draft(enrollment_id, step_id, status, outcome)
            for step_id, (status, outcome) in zip(step_ids, DRAFTS, strict=True)
        ]


@pytest.fixture
def states(services: Services, workspace: str, database_url: str) -> Iterator[States]:
    """Put rows of the test's workspace into states; the business clock stands still at NOW."""
    stop_clock(services.clock, NOW)
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as owner:
        yield States(services, database_url, owner, workspace)


def differing(before: Row, **after: object) -> dict[str, tuple[Any, Any]]:
    """Return the (before, after) of each of these columns that changes, and of when the row was touched."""
    columns = {name: (before[name], value) for name, value in after.items() if before[name] != value}
    return {**columns, "updated_at": (ANY, ANY)} if columns else {}


def added(changed: Changes, table: str) -> list[Row]:
    """Return the rows that came into a table of app, in order of their keys; no other row of it may have changed."""
    rows = changed.get(f"app.{table}", {})
    assert all(before is ABSENT for row in rows.values() for before, _ in row.values()), rows
    return [{name: after for name, (_, after) in row.items()} for _, row in sorted(rows.items())]

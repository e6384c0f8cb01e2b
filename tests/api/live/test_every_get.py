import contextlib
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from psycopg import sql
from sqlalchemy import event
from sqlalchemy.orm import Session

from api.live.service import Follower
from database.models import Account, ApiKey, User, Workspace
from database.roles import connect, owner_url
from tests.api.analytics.conftest import marts_template
from tests.api.analytics.marts import add_campaign, add_step, database_url, owner
from tests.api.live.test_live import Live, live, until
from tests.database.rows import CHANGES, TABLES, Ids, insert, row_for

__all__ = ["database_url", "live", "marts_template", "owner"]

pytestmark = pytest.mark.anyio

OWN = [str(model.__table__) for model in (Account, User, ApiKey, Workspace)]
GIVEN: dict[str, dict[str, Any]] = {
    "app.send_attempts": {"outcome": "unknown"},
    "app.ai_usage": {"workflow": "csv_mapping"},
    "app.reply_corrections": {"intent": "other"},
    "app.suppression_removals": {"kind": "email"},
    "app.email_events": {"type": "opened"},
}
"""What a row needs to be shown at all, beside what any row of its table may hold."""
CAMPAIGN = "spring"
DRAFTS, IMPORTS = "app.email_drafts", "app.lead_imports"
OF_DRAFTS = {"lead_id": "app.leads", "sequence_id": "app.sequences", "enrollment_id": "app.lead_enrollments"}
IDS = {
    "listId": "app.lead_lists",
    "jobId": "app.scheduled_jobs",
    "stepId": "app.sequence_steps",
    "keyId": "app.api_keys",
    "eventId": "app.email_events",
    "draftId": "app.email_drafts",
    "replyId": "app.replies",
    "importId": IMPORTS,
    "suppressionId": "app.suppressions",
}
QUERIES = {
    "getAiUsage": "?start=2026-03-01&end=2026-03-31",
    "previewSequenceStep": "?leadId={leadId}",
    "getLive": "?query=/api/workspaces/{workspaceId}/leads",
}
PACKED = {"app.lead_import_blocks", "app.lead_import_rows"}
"""Tables whose rows only mean something as a whole."""
MEANINGFUL = {
    "timezone",
    "holidays_country",
    "secret_hash",
    "subject_hash",
    "value_hash",
    "kind",
    "event",
    "decision",
    "campaign_id",
    "workflow",
    "intent",
}
"""Columns that only take what has a meaning, or whose change closes the door."""

_HELD = sa.text(
    """
    SELECT relnamespace::regnamespace::text || '.' || relname
      FROM pg_locks JOIN pg_class ON pg_class.oid = relation
     WHERE locktype = 'relation' AND mode = 'AccessShareLock' AND pid = pg_backend_pid() AND relkind = 'r'
       AND relnamespace::regnamespace::text IN ('app', 'everlytic', 'analytics') AND relname <> 'changes'
    """
)


@pytest.fixture
def locked() -> Iterator[set[str]]:
    """Collect the tables that transactions lock at their end: the tables they have read, as reported by Postgres."""
    tables: set[str] = set()

    def note(session: Session) -> None:
        tables.update(session.scalars(_HELD))

    event.listen(Session, "before_commit", note)
    yield tables
    event.remove(Session, "before_commit", note)


@pytest.fixture
async def ids(app_client: httpx.AsyncClient, workspace: str, database_url: str) -> Ids:
    """Upload a file, insert a row into every other table of the workspace, and return their ids."""
    file = {"file": ("leads.csv", b"Email,First Name\nx@lead.example,Xola\n")}
    uploaded = await app_client.post(f"/api/workspaces/{workspace}/imports", files=file)
    with connect(owner_url(database_url)) as owner:
        found: Ids = {IMPORTS: UUID(uploaded.json()["id"])}
        for name in OWN:
            found[name] = owner.execute(f"SELECT id FROM {name}").fetchone()[0]  # type: ignore[index]
        for table in TABLES:
            if str(table) not in {*OWN, CHANGES} and not str(table).startswith("app.lead_import"):
                row = {**row_for(table, found, "mine"), **GIVEN.get(str(table), {})}
                whose = {name: found[of] for name, of in OF_DRAFTS.items() if name in row and str(table) == DRAFTS}
                insert(owner, table, row | whose, found)
    return found


def gets(app: FastAPI) -> dict[str, str]:
    """Return the path of every GET that returns JSON, by operation."""
    found = {}
    for path, operations in app.openapi()["paths"].items():
        operation = operations.get("get")
        if path.startswith("/api/") and operation and "application/json" in operation["responses"]["200"]["content"]:
            found[operation["operationId"]] = path + QUERIES.get(operation["operationId"], "")
    return found


def filled(path: str, ids: Ids) -> str:
    """Return a path with the ids of existing rows."""

    def id_of(found: re.Match[str]) -> str:
        name = found[1]
        if name == "campaignId":
            return CAMPAIGN
        table = IDS.get(name, f"app.{re.sub('([A-Z])', '_', name)[:-2].rstrip('_')}s")
        return str(ids.get(table, ids.get(f"app.lead_{name.removesuffix('Id')}s", "none")))

    return re.sub(r"\{(\w+)\}", id_of, path)


def change(owner: psycopg.Connection, table: str) -> None:
    """Change every column of a row, as far as its constraints allow."""
    if table in PACKED:
        return
    name = sql.Identifier(*table.split("."))
    changed = {"text": "{0} || '*'", "integer": "{0} + 1", "timestamp with time zone": "{0} + interval '1 minute'"}
    columns = owner.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema || '.' || table_name = %s AND (is_nullable = 'NO' OR table_schema = 'analytics')",
        [table],
    ).fetchall()
    for column, kind in columns:
        if column not in MEANINGFUL and kind in changed:
            new = sql.SQL(changed[kind]).format(sql.Identifier(column))
            statement = sql.SQL("UPDATE {} SET {} = {}").format(name, sql.Identifier(column), new)
            with contextlib.suppress(psycopg.IntegrityError):
                owner.execute(statement)
    if table.startswith("analytics."):
        # As the macro `serve` does at the end of each build.
        mart = table.partition(".")[2]
        owner.execute(
            sql.SQL(
                "INSERT INTO app.changes (workspace_id, table_name) SELECT DISTINCT workspace_id, {} FROM {}"
            ).format(mart, name)
        )


async def test_every_get_reacts_to_each_table_it_reads(
    live: Live,
    app: FastAPI,
    app_client: httpx.AsyncClient,
    workspace: str,
    ids: Ids,
    locked: set[str],
    owner: psycopg.AsyncConnection,
    database_url: str,
) -> None:
    """A write to any table that a GET reads, as reported by Postgres, makes its query run, and sends a changed result.

    The writes are plain SQL, one table after the other; each event is what the plain GET returns.
    """
    follower: Follower = live.app.state.follower
    shown: set[str] = set()
    await add_campaign(owner, workspace, CAMPAIGN)
    await add_step(owner, workspace, CAMPAIGN, 1)
    with connect(owner_url(database_url)) as writer:
        for name, path in gets(app).items():
            url = filled(path, ids)
            locked.clear()
            plain = await app_client.get(url)
            tables = sorted(locked)
            assert plain.status_code == 200, f"{name}: {plain.text}"
            async with live.stream(url) as stream:
                known = (await stream.next()).id
                (subscription,) = follower._subscriptions()
                assert subscription.tables >= {table.partition(".")[2] for table in tables}, name
                for table in tables:
                    change(writer, table)
                    plain = await app_client.get(url)
                    assert plain.status_code == 200, f"{name} after a change of {table}: {plain.text}"
                    if plain.headers["ETag"] == known:
                        continue
                    while known != plain.headers["ETag"]:
                        known = (await stream.next()).id
                    shown.add(table)
            await until(lambda: not follower._subscriptions())
    assert shown >= {"app.leads", "app.users", "app.api_keys", "app.accounts", "analytics.campaigns"}

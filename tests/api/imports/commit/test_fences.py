import asyncio
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.imports.repository import commit as repository
from api.imports.repository import outcomes
from api.imports.repository.commit import WrittenBlock
from api.imports.repository.outcomes import Outcome, Plan
from database.engine import create_pool
from database.models import DuplicatePolicy
from database.roles import APP_ROLE, owner_url, role_url
from database.tenancy import transaction
from tests.api.waiting import until_waiting
from tests.overtaking import overtaken, setting
from tests.tables import BOOKKEEPING, changes, read_rows, snapshot
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

LEADS, CHANGES = "app.leads", "app.lead_import_changes"


async def write_rows(session: AsyncSession, workspaces: TwoWorkspaces, emails: list[str]) -> WrittenBlock:
    """Write rows of these addresses to leads, each with the company of the file."""
    plan = Plan(
        workspaces.id,
        workspaces.ids["app.lead_imports"],
        list_id=None,
        first_lead_id=UUID("01a00000-0000-7000-8000-000000000000"),
        policy=DuplicatePolicy.OVERWRITE,
        default_segment=None,
    )
    await outcomes.create_values_table(session)
    lines = range(10, 10 + len(emails))
    await outcomes.copy_values(session, "".join(f'{line},"","",File,"",,,{{}}\n' for line in lines).encode())
    return await repository.write_block(session, plan, (lines[0], lines[-1]))


def add_rows(workspaces: TwoWorkspaces, emails: list[str]) -> None:
    """Insert the rows of a file."""
    workspaces.owner.cursor().executemany(
        "INSERT INTO app.lead_import_rows (workspace_id, import_id, line_number, email) VALUES (%s, %s, %s, %s)",
        [
            (workspaces.id, workspaces.ids["app.lead_imports"], line, email)
            for line, email in enumerate(emails, start=10)
        ],
    )


@pytest.mark.fences("api.imports.repository.commit:_insert")
async def test_only_addresses_that_no_live_lead_has_become_leads(two_workspaces: TwoWorkspaces) -> None:
    """A row becomes a lead unless its address came meanwhile; a deleted lead's address is free."""
    workspaces = two_workspaces
    emails = [f"{name}@lead.example" for name in ("added", "deleted", "foreign", "free")]
    add_rows(workspaces, emails)
    workspaces.add(LEADS, email="deleted@lead.example", deleted_at=NOW)
    workspaces.add(LEADS, workspaces.neighbour, email="foreign@lead.example")
    overtaking = await overtaken(
        workspaces,
        lambda other: other.execute(
            "INSERT INTO app.leads (workspace_id, email) VALUES (%s, 'added@lead.example')", [workspaces.id]
        ),
        lambda session: write_rows(session, workspaces, emails),
    )
    assert overtaking.result.counts == {Outcome.NEW: 3, Outcome.DUPLICATE_IN_WORKSPACE: 1}
    assert overtaking.changes.keys() == {LEADS}
    assert sorted(row["email"][1] for row in overtaking.changes[LEADS].values()) == emails[1:]


@pytest.mark.fences("api.imports.repository.commit:_change")
async def test_a_lead_that_came_between_is_changed_only_as_it_was_compared(two_workspaces: TwoWorkspaces) -> None:
    """A lead that came after the block's leads were locked, and changed after it was compared, stays; so does one
    that has the values of the file already.
    """
    workspaces = two_workspaces
    emails = ["known@lead.example", "between@lead.example", "same@lead.example"]
    add_rows(workspaces, emails)
    known = workspaces.add(LEADS, email=emails[0])
    workspaces.add(LEADS, email=emails[2], company="File")
    pool = create_pool(role_url(owner_url(workspaces.url), APP_ROLE), size=1)
    with psycopg.connect(workspaces.url) as first, psycopg.connect(workspaces.url) as second:
        async with transaction(pool, workspaces.scope) as session:
            setting(LEADS, {known: {"company": "Known"}})(first)
            writing = await until_waiting(workspaces.owner, write_rows(session, workspaces, emails))
            between = workspaces.add(LEADS, email=emails[1])
            setting(LEADS, {between: {"company": "Theirs"}})(second)
            first.commit()
            await until_blocked_by(second, workspaces.owner, writing)
            left = read_rows(second)
            second.commit()
            written = await writing
    await pool.dispose()
    assert written.counts == {Outcome.UPDATED: 1, Outcome.DUPLICATE_IN_WORKSPACE: 2}
    differing = changes(left, snapshot(workspaces.url), except_tables=BOOKKEEPING)
    assert differing.keys() == {LEADS, CHANGES}
    assert differing[LEADS].keys() == {str(known)}
    assert differing[LEADS][str(known)]["company"] == ("Known", "File")
    assert [row["lead_id"][1] for row in differing[CHANGES].values()] == [str(known)]


async def until_blocked_by(other: psycopg.Connection, watcher: psycopg.Connection, task: asyncio.Task[Any]) -> None:
    """Return once a task waits for a row that another connection has changed."""
    waiting = "SELECT FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"
    while watcher.execute(waiting, [other.info.backend_pid]).fetchone() is None:
        assert not task.done(), "the task did not wait"
        await asyncio.wait({task}, timeout=0.01)

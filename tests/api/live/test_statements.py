"""The exact age limit of the change log, and the relations whose names are read."""

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api.live import repository
from database.engine import create_pool
from database.roles import ENGINE_ROLE, owner_url
from tests.overtaking import overtaken
from tests.two_workspaces import TwoWorkspaces

pytestmark = pytest.mark.anyio


async def test_the_age_limit_of_changes_is_exact(two_workspaces: TwoWorkspaces) -> None:
    """A change exactly as old as the limit stays, and one that is a microsecond older is deleted."""
    pool = create_pool(owner_url(two_workspaces.url), size=1)
    async with AsyncSession(pool) as session, session.begin():
        await session.execute(text("DELETE FROM app.changes"))
        await session.execute(
            text(
                "INSERT INTO app.changes (workspace_id, table_name, changed_at)"
                " VALUES (:id, 'kept', now() - interval '60 seconds'),"
                "        (:id, 'gone', now() - interval '60.000001 seconds')"
            ),
            {"id": two_workspaces.id},
        )
        await repository.prune_changes(session, 60)
        assert list(await session.scalars(text("SELECT table_name FROM app.changes"))) == ["kept"]
    await pool.dispose()


async def test_only_our_functions_and_views_are_read(two_workspaces: TwoWorkspaces) -> None:
    """Names are read from definitions in our schemas, and not from those of Postgres."""
    read = await overtaken(
        two_workspaces, lambda _other: None, repository.find_read_tables, commits_first=True, role=ENGINE_ROLE
    )
    assert "enqueue_slot" in read.result
    assert not {"now", "pg_stat_activity", "pg_class_aclmask", "tables"} & read.result.keys()


async def test_a_read_returns_later_commits(two_workspaces: TwoWorkspaces) -> None:
    """A read returns a transaction that was running at the previous read and has committed, once."""
    workspaces = two_workspaces
    move = "UPDATE app.leads SET email = %s WHERE id = %s"

    async def look(session: AsyncSession) -> list[object]:
        with psycopg.connect(workspaces.url) as late, psycopg.connect(workspaces.url) as running:
            late.execute(move, ["thandi@lead.example", workspaces.ids["app.leads"]])
            running.execute(move, ["thandi@lead.example", workspaces.neighbour["app.leads"]])
            before = await repository.current_snapshot(session)
            late.commit()
            first = await repository.read_changes(session, before)
            second = await repository.read_changes(session, first.snapshot)
            return [first.changes, second.changes]

    read = await overtaken(workspaces, lambda _other: None, look, commits_first=True, role=ENGINE_ROLE)
    assert read.result == [frozenset({(workspaces.id, "leads")}), frozenset()]


async def test_a_read_uses_snapshots(two_workspaces: TwoWorkspaces) -> None:
    """A commit is returned once while an older transaction runs, although that one began before it."""
    workspaces = two_workspaces

    async def look(session: AsyncSession) -> list[object]:
        with psycopg.connect(workspaces.url) as running:
            running.execute("SELECT pg_current_xact_id()")
            before = await repository.current_snapshot(session)
            workspaces.set("app.leads", workspaces.ids["app.leads"], email="thandi@lead.example")
            first = await repository.read_changes(session, before)
            second = await repository.read_changes(session, first.snapshot)
            return [first.changes, second.changes]

    read = await overtaken(workspaces, lambda _other: None, look, commits_first=True, role=ENGINE_ROLE)
    assert read.result == [frozenset({(workspaces.id, "leads")}), frozenset()]

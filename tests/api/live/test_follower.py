import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import psycopg
import pytest

from api.live.service import Follower, following
from database.roles import libpq_url, owner_url

pytestmark = pytest.mark.anyio

MINE, THEIRS = uuid4(), uuid4()


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """Somebody who commits."""
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url(database_url)), autocommit=True) as connection:
        yield connection


@pytest.fixture
async def follower(database_url: str) -> AsyncIterator[Follower]:
    """A follower that looks often."""
    async with following(owner_url(database_url), poll_seconds=0.01) as follower:
        yield follower


async def change(connection: psycopg.AsyncConnection, workspace: UUID, table: str = "leads") -> None:
    """Log a change as the triggers do."""
    await connection.execute("INSERT INTO app.changes (workspace_id, table_name) VALUES (%s, %s)", [workspace, table])


async def workspaces_in_the_log(connection: psycopg.AsyncConnection) -> list[UUID]:
    """Return whose changes the log holds."""
    rows = await (await connection.execute("SELECT workspace_id FROM app.changes")).fetchall()
    return [workspace for (workspace,) in rows]


async def woken(event: asyncio.Event) -> None:
    """Wait until a subscription is woken."""
    async with asyncio.timeout(5):
        await event.wait()


async def test_only_the_workspace_that_changed_is_woken(follower: Follower, owner: psycopg.AsyncConnection) -> None:
    """A change wakes all subscriptions of its workspace and none of another."""
    with follower.subscribe(MINE) as one, follower.subscribe(MINE) as two, follower.subscribe(THEIRS) as other:
        await change(owner, MINE)
        await woken(one.woken)
        await woken(two.woken)
        assert not other.woken.is_set()


async def test_an_account_looks_again_when_a_workspace_changes(
    follower: Follower, owner: psycopg.AsyncConnection
) -> None:
    """A subscription outside any workspace is woken by changes to workspaces, not by those within."""
    with follower.subscribe(None) as account, follower.subscribe(MINE) as within:
        await change(owner, MINE, "leads")
        await woken(within.woken)
        assert not account.woken.is_set()
        await change(owner, MINE, "workspaces")
        await woken(account.woken)


async def test_a_change_wakes_once(follower: Follower, owner: psycopg.AsyncConnection) -> None:
    """What was seen is not seen again at later looks."""
    with follower.subscribe(MINE) as mine, follower.subscribe(THEIRS) as other:
        await change(owner, MINE)
        await woken(mine.woken)
        mine.woken.clear()
        await change(owner, THEIRS)
        await woken(other.woken)
        assert not mine.woken.is_set()


async def test_a_rollback_wakes_nobody(follower: Follower, owner: psycopg.AsyncConnection) -> None:
    """A change that was never committed is none."""
    with follower.subscribe(MINE) as mine, follower.subscribe(THEIRS) as other:
        async with owner.transaction(force_rollback=True):
            await change(owner, MINE)
        await change(owner, THEIRS)
        await woken(other.woken)
        assert not mine.woken.is_set()


async def test_who_comes_after_the_end_is_ended_too(follower: Follower) -> None:
    """A stream that starts while the process stops ends at once."""
    with follower.subscribe(MINE) as before:
        follower.end()
        with follower.subscribe(MINE) as after:
            assert before.has_ended
            assert after.has_ended
            assert after.woken.is_set()


async def test_old_changes_are_forgotten(database_url: str, owner: psycopg.AsyncConnection) -> None:
    """What is older than an hour leaves the log; what is younger stays."""
    await change(owner, MINE)
    await owner.execute("UPDATE app.changes SET changed_at = now() - interval '61 minutes'")
    await change(owner, THEIRS)
    async with following(owner_url(database_url), poll_seconds=0.01):
        async with asyncio.timeout(5):
            while await workspaces_in_the_log(owner) != [THEIRS]:  # noqa: ASYNC110 - the database sends no event; there is a deadline
                await asyncio.sleep(0.01)

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import psycopg
import pytest

from api.http.resources import Services
from api.live.service import Follower, Subscription, follow_changes
from database.commit_notifier import CHANNEL
from database.roles import libpq_url, owner_url

pytestmark = pytest.mark.anyio

MINE, THEIRS = uuid4(), uuid4()


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A connection that commits."""
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url(database_url)), autocommit=True) as connection:
        yield connection


@pytest.fixture
async def follower(database_url: str) -> AsyncIterator[Follower]:
    """A follower with a short poll interval."""
    async with follow_changes(owner_url(database_url), poll_seconds=0.01) as follower:
        yield follower


async def change(connection: psycopg.AsyncConnection, workspace: UUID, table: str = "leads") -> None:
    """Log a change like the triggers."""
    await connection.execute("INSERT INTO app.changes (workspace_id, table_name) VALUES (%s, %s)", [workspace, table])


async def workspaces_in_the_log(connection: psycopg.AsyncConnection) -> list[UUID]:
    """Return the workspaces of the changes in the log."""
    rows = await (await connection.execute("SELECT workspace_id FROM app.changes")).fetchall()
    return [workspace for (workspace,) in rows]


async def woken(event: asyncio.Event) -> None:
    """Wait until a subscription is woken."""
    async with asyncio.timeout(5):
        await event.wait()


@contextmanager
def reading(follower: Follower, scope: UUID, *tables: str) -> Iterator[Subscription]:
    """Subscribe to tables in a scope."""
    with follower.subscribe() as subscription:
        follower.narrow(subscription, [scope], tables)
        yield subscription


async def test_only_affected_subscriptions_are_woken(follower: Follower, owner: psycopg.AsyncConnection) -> None:
    """A change wakes the subscriptions that read the table in its scope, and no others."""
    with (
        reading(follower, MINE, "leads", "replies") as one,
        reading(follower, MINE, "leads") as two,
        reading(follower, MINE, "replies") as others_table,
        reading(follower, THEIRS, "leads") as other,
    ):
        await change(owner, MINE)
        await woken(one.woken)
        await woken(two.woken)
        assert not other.woken.is_set()
        assert not others_table.woken.is_set()


async def test_a_new_subscription_is_woken_by_every_change(follower: Follower, owner: psycopg.AsyncConnection) -> None:
    """Before its tables are known, any change may concern it; when it reads further tables later, it is woken once."""
    with follower.subscribe() as subscription:
        await change(owner, THEIRS, "replies")
        await woken(subscription.woken)
        subscription.woken.clear()
        follower.narrow(subscription, [MINE], ["leads"])
        assert not subscription.woken.is_set()
        follower.narrow(subscription, [MINE], ["leads"])
        assert not subscription.woken.is_set()
        follower.narrow(subscription, [MINE], ["replies"])
        assert subscription.woken.is_set()
        assert subscription.tables >= {"leads", "replies"}


async def test_a_function_stands_for_its_tables(follower: Follower, owner: psycopg.AsyncConnection) -> None:
    """A key is looked up by a function: a change of keys wakes all subscriptions of callers with keys."""
    with reading(follower, MINE, "authenticate_credential") as subscription:
        await change(owner, MINE, "api_keys")
        await woken(subscription.woken)


async def test_a_notification_is_received_at_once(database_url: str, owner: psycopg.AsyncConnection) -> None:
    """A follower that polls every ten minutes sees a change at once after a notification."""
    async with follow_changes(owner_url(database_url), poll_seconds=600.0) as follower:
        with reading(follower, MINE, "leads") as mine:
            async with asyncio.timeout(5):
                while not mine.woken.is_set():
                    # The first ping may come before it listens.
                    await change(owner, MINE)
                    await owner.execute(f"NOTIFY {CHANNEL}")
                    await asyncio.sleep(0.01)


async def test_a_change_wakes_once(follower: Follower, owner: psycopg.AsyncConnection) -> None:
    """A change is not read again by later reads."""
    with reading(follower, MINE, "leads") as mine, reading(follower, THEIRS, "leads") as other:
        await change(owner, MINE)
        await woken(mine.woken)
        mine.woken.clear()
        await change(owner, THEIRS)
        await woken(other.woken)
        assert not mine.woken.is_set()


async def test_a_rollback_wakes_no_subscription(follower: Follower, owner: psycopg.AsyncConnection) -> None:
    """A change that was rolled back is not seen."""
    with reading(follower, MINE, "leads") as mine, reading(follower, THEIRS, "leads") as other:
        async with owner.transaction(force_rollback=True):
            await change(owner, MINE)
        await change(owner, THEIRS)
        await woken(other.woken)
        assert not mine.woken.is_set()


async def test_a_subscription_after_the_end_ends_at_once(follower: Follower) -> None:
    """A stream that starts while the process stops ends at once."""
    with follower.subscribe() as before:
        follower.end()
        with follower.subscribe() as after:
            assert before.has_ended
            assert after.has_ended
            assert after.woken.is_set()


async def test_old_changes_are_deleted(database_url: str, owner: psycopg.AsyncConnection) -> None:
    """Changes older than an hour are deleted from the log; newer ones stay."""
    await change(owner, MINE)
    await owner.execute("UPDATE app.changes SET changed_at = now() - interval '61 minutes'")
    await change(owner, THEIRS)
    async with follow_changes(owner_url(database_url), poll_seconds=0.01):
        async with asyncio.timeout(5):
            while await workspaces_in_the_log(owner) != [THEIRS]:  # noqa: ASYNC110 - the database sends no event; there is a deadline
                await asyncio.sleep(0.01)


async def test_the_use_of_a_key_wakes_no_subscription(
    follower: Follower, owner: psycopg.AsyncConnection, services: Services, api_key: str
) -> None:
    """The last use of a key is stored each minute and wakes no subscription; its revocation does."""
    row = await (await owner.execute("SELECT account_id FROM app.api_keys")).fetchone()
    assert row is not None
    with reading(follower, row[0], "api_keys") as keys, reading(follower, THEIRS, "leads") as other:
        await change(owner, THEIRS)
        await woken(other.woken)  # by then it has seen how the key was made
        keys.woken.clear()
        other.woken.clear()
        await owner.execute("UPDATE app.api_keys SET last_used_at = now()")
        await change(owner, THEIRS)
        await woken(other.woken)
        assert not keys.woken.is_set()
        await owner.execute("UPDATE app.api_keys SET revoked_at = now()")
        await woken(keys.woken)

"""After every kind of transaction the settings that our code sets are those the connection began with."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from api.accounts import repository as accounts
from api.outreach.enrollments.repository import take_room
from api.telemetry.repository import bound
from database.engine import create_pool
from database.landing import allow_long_statements
from database.migrate import migrate
from database.roles import APP_ROLE, ENGINE_ROLE, owner_url, role_url
from database.tenancy import Scope, enter, transaction, unscoped
from tests.architecture.tree import PACKAGES, sources
from tests.transaction_settings import outlived, read_settings, setting_names

pytestmark = pytest.mark.anyio

EVERYTHING = Scope(uuid4(), uuid4(), "a hash", "ann@acme.example")
Transaction = Callable[[AsyncEngine], Awaitable[None]]


class Refused(Exception):
    """What goes wrong inside a transaction."""


async def commit(pool: AsyncEngine) -> None:
    """Enter a scope, let statements take long, and commit."""
    async with transaction(pool, EVERYTHING) as session:
        await allow_long_statements(session)
        await take_room(session)


async def fail(pool: AsyncEngine) -> None:
    """Enter a scope and roll back because of an error of ours."""
    with suppress(Refused):
        async with transaction(pool, EVERYTHING):
            raise Refused


async def be_refused(pool: AsyncEngine) -> None:
    """Enter a scope and roll back because of an error of the database's."""
    async with unscoped(pool) as session:
        await enter(session, EVERYTHING)
        with suppress(Exception):
            await session.execute(text("SELECT 1 / 0"))
        await session.rollback()


async def enter_again(pool: AsyncEngine) -> None:
    """Enter a scope, roll back, and enter another in the same session."""
    async with unscoped(pool) as session:
        await enter(session, EVERYTHING)
        await session.rollback()
        await enter(session, Scope(workspace_id=uuid4()))


async def commit_a_savepoint(pool: AsyncEngine) -> None:
    """Enter another scope behind a savepoint that is released."""
    async with transaction(pool, Scope()) as session, session.begin_nested():
        await enter(session, EVERYTHING)


async def roll_a_savepoint_back(pool: AsyncEngine) -> None:
    """Enter another scope behind a savepoint that is rolled back."""
    async with transaction(pool, EVERYTHING) as session:
        with suppress(Refused):
            async with session.begin_nested():
                await enter(session, Scope(workspace_id=uuid4()))
                raise Refused


async def be_cancelled(pool: AsyncEngine) -> None:
    """Enter a scope in a task that is cancelled between two statements."""
    entered = asyncio.Event()

    async def wait() -> None:
        async with transaction(pool, EVERYTHING):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await entered.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def read_repeatably(pool: AsyncEngine) -> None:
    """Enter a scope in one snapshot, as live queries do."""
    async with unscoped(pool, isolation_level="REPEATABLE READ") as session:
        await enter(session, EVERYTHING)


async def authenticate(pool: AsyncEngine) -> None:
    """Ask whom a key stands for, in a workspace."""
    async with unscoped(pool) as session:
        await accounts.enter(session, "a hash", uuid4())


async def watch_the_queue(pool: AsyncEngine) -> None:
    """Bound the transaction in which the queue's figures are read."""
    async with AsyncSession(pool) as session, session.begin():
        await bound(session, 5)


KINDS: Sequence[Transaction] = (
    commit,
    fail,
    be_refused,
    enter_again,
    commit_a_savepoint,
    roll_a_savepoint_back,
    be_cancelled,
    read_repeatably,
)


@pytest.fixture(params=[APP_ROLE, ENGINE_ROLE, "owner"])
async def pool(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[AsyncEngine]:
    """One connection as each of the roles."""
    owner = owner_url(database_url)
    pool = create_pool(owner if request.param == "owner" else role_url(owner, request.param), size=1)
    yield pool
    await pool.dispose()


async def settings_of(pool: AsyncEngine) -> list[str]:
    """Return the settings of the pool's only connection outside any transaction."""
    async with pool.connect() as connection:
        settings = read_settings((await connection.get_raw_connection()).dbapi_connection)
    assert settings
    return settings


async def test_settings_end_with_their_transaction(pool: AsyncEngine) -> None:
    """A commit, a failure, a cancellation and a savepoint leave the connection as it was, for each role."""
    before = await settings_of(pool)
    assert {name: value for name, value in zip(setting_names(), before, strict=True) if "app." in name and value} == {}
    is_app = pool.url.username == APP_ROLE
    for kind in (*KINDS, *([authenticate] if is_app else []), *([watch_the_queue] if not is_app else [])):
        await kind(pool)
        assert await settings_of(pool) == before, kind.__doc__
    assert outlived == []


async def test_a_setting_that_outlives_its_transaction_is_seen(database_url: str) -> None:
    """The watch over all pools can fail: a value that is set for the session is named when the connection returns."""
    pool = create_pool(role_url(owner_url(database_url), APP_ROLE), size=1)
    async with transaction(pool, Scope()) as session:
        await session.execute(text("SELECT set_config('app.workspace_id', 'left behind', false)"))
    assert outlived == ["app.workspace_id = 'left behind'"]
    outlived.clear()
    await pool.dispose()


def test_migrations_leave_no_setting(database_url: str) -> None:
    """The transactions of the migrations end with what they set."""
    migrate(owner_url(database_url))
    assert outlived == []


async def test_every_setting_is_read(database_url: str) -> None:
    """The watch knows each setting of ours that a function of the database reads."""
    pool = create_pool(owner_url(database_url), size=1)
    async with AsyncSession(pool) as session:
        names = await session.scalars(
            text(
                "SELECT DISTINCT name[1] FROM pg_proc, regexp_matches(prosrc, '''(app\\.[a-z_]+)''', 'g') AS name"
                " WHERE pronamespace = 'app'::regnamespace"
            )
        )
        assert set(names) <= set(setting_names())
    await pool.dispose()


def test_every_setting_is_for_its_transaction_alone() -> None:
    """No statement in the code sets anything for the session."""
    calls = [
        (source.path, call)
        for source in sources(*PACKAGES)
        for call in re.findall(r"set_config\(([^()]*)\)|\b(?:SET SESSION|SET (?!LOCAL)\w+\.)", source.text)
    ]
    assert len(calls) >= len(setting_names())
    assert [path for path, call in calls if not call.endswith(", true")] == []

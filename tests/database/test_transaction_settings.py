"""Every kind of transaction leaves the settings of its connection as they were."""

import ast
import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from api.http.authentication import repository as authentication
from api.outreach.enrollments.repository import raise_work_mem
from api.telemetry.repository import set_limits
from database.engine import create_pool
from database.landing import allow_long_statements
from database.migrate import migrate
from database.roles import APP_ROLE, ENGINE_ROLE, owner_url, role_url
from database.statements import SCHEMAS
from database.tenancy import Scope, enter_scope, open_unscoped_session, transaction
from tests.architecture.tree import PACKAGES, Source, called, sources
from tests.transaction_settings import outlived, read_settings, setting_names

pytestmark = pytest.mark.anyio

SETTING = [
    "api/http/authentication/repository.py",
    "api/imports/repository/preview.py",
    "api/outreach/enrollments/repository.py",
    "api/telemetry/repository.py",
    "database/landing.py",
    "database/tenancy.py",
]
"""The files in which something is set."""
EVERYTHING = Scope(uuid4(), uuid4(), "a hash", "ann@acme.example")
Transaction = Callable[[AsyncEngine], Awaitable[None]]


class Refused(Exception):
    """An error inside a transaction."""


async def commit(pool: AsyncEngine) -> None:
    """Enter a scope, raise the statement timeout, and commit."""
    async with transaction(pool, EVERYTHING) as session:
        await allow_long_statements(session)
        await raise_work_mem(session)


async def fail(pool: AsyncEngine) -> None:
    """Enter a scope and roll back because of a Python error."""
    with suppress(Refused):
        async with transaction(pool, EVERYTHING):
            raise Refused


async def be_refused(pool: AsyncEngine) -> None:
    """Enter a scope and roll back because of a database error."""
    async with open_unscoped_session(pool) as session:
        await enter_scope(session, EVERYTHING)
        with suppress(Exception):
            await session.execute(text("SELECT 1 / 0"))
        await session.rollback()


async def enter_again(pool: AsyncEngine) -> None:
    """Enter a scope, roll back, and enter another scope in the same session."""
    async with open_unscoped_session(pool) as session:
        await enter_scope(session, EVERYTHING)
        await session.rollback()
        await enter_scope(session, Scope(workspace_id=uuid4()))


async def commit_a_savepoint(pool: AsyncEngine) -> None:
    """Enter another scope after a savepoint that is released."""
    async with transaction(pool, Scope()) as session, session.begin_nested():
        await enter_scope(session, EVERYTHING)


async def roll_a_savepoint_back(pool: AsyncEngine) -> None:
    """Enter another scope after a savepoint that is rolled back."""
    async with transaction(pool, EVERYTHING) as session:
        with suppress(Refused):
            async with session.begin_nested():
                await enter_scope(session, Scope(workspace_id=uuid4()))
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
    """Enter a scope in a REPEATABLE READ transaction, as live queries do."""
    async with open_unscoped_session(pool, isolation_level="REPEATABLE READ") as session:
        await enter_scope(session, EVERYTHING)


async def authenticate(pool: AsyncEngine) -> None:
    """Look up the user of an API key in a workspace."""
    async with open_unscoped_session(pool) as session:
        await authentication.authenticate_credential(session, "a hash", uuid4())


async def watch_the_queue(pool: AsyncEngine) -> None:
    """Limit the transaction that reads the metrics of the queue."""
    async with AsyncSession(pool) as session, session.begin():
        await set_limits(session, 5)


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
    """Return the settings of the pool's only connection outside a transaction."""
    async with pool.connect() as connection:
        settings = read_settings((await connection.get_raw_connection()).dbapi_connection)
    assert settings
    return settings


async def test_settings_end_with_their_transaction(pool: AsyncEngine) -> None:
    """A commit, a failure, a cancellation and a savepoint leave the connection's settings unchanged, for each role."""
    before = await settings_of(pool)
    assert {name: value for name, value in zip(setting_names(), before, strict=True) if "app." in name and value} == {}
    is_app = pool.url.username == APP_ROLE
    for kind in (*KINDS, *([authenticate] if is_app else []), *([watch_the_queue] if not is_app else [])):
        await kind(pool)
        assert await settings_of(pool) == before, kind.__doc__
    assert outlived == []


async def test_a_setting_that_outlives_its_transaction_is_detected(database_url: str) -> None:
    """A value that is set for the session is reported when the connection returns to its pool."""
    pool = create_pool(role_url(owner_url(database_url), APP_ROLE), size=1)
    async with transaction(pool, Scope()) as session:
        await session.execute(text("SELECT set_config('app.workspace_id', 'left behind', false)"))
    assert outlived == ["app.workspace_id = 'left behind'"]
    outlived.clear()
    await pool.dispose()


def test_migrations_leave_no_setting(database_url: str) -> None:
    """The migrations set nothing for the session."""
    migrate(owner_url(database_url))
    assert outlived == []


async def test_every_setting_is_read(database_url: str) -> None:
    """The check knows each of our settings that a database function reads."""
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
    """No statement in the code changes a setting for the session."""
    calls = [
        (source.path, call)
        for source in sources(*PACKAGES)
        for call in re.findall(r"set_config\(([^()]*)\)|\b(?:SET SESSION|SET (?!LOCAL)\w+\.)", source.text)
    ]
    assert len(calls) >= len(setting_names())
    assert [path for path, call in calls if not call.endswith(", true")] == []


def strings_for_any_connection(source: Source) -> Iterator[tuple[int, str]]:
    """Yield the strings of a file that are no docstring and no part of a statement that a session alone can run.

    Such a statement is SQLAlchemy's `text`, or a constant that is only given to `fetch`.
    """
    arguments = {
        kind: [argument for name, call in called(source) if name == kind for argument in call.args]
        for kind in ("sqlalchemy.text", "database.direct.fetch")
    }
    inside = {id(node) for argument in arguments["sqlalchemy.text"] for node in ast.walk(argument)}
    inside |= {id(node.value) for node in ast.walk(source.tree) if isinstance(node, ast.Expr)}
    fetched = {id(argument) for argument in arguments["database.direct.fetch"]}
    read = [node for node in ast.walk(source.tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name):
            uses = [id(name) in fetched for name in read if name.id == target.id]
            inside |= {id(node.value)} if uses and all(uses) else set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.lineno, node.value


async def test_no_connection_outside_the_pools_sets_anything(database_url: str) -> None:
    """Only sessions, and so pools, run statements that set something; connections outside the pools set nothing."""
    pool = create_pool(owner_url(database_url), size=1)
    async with AsyncSession(pool) as session:
        functions = await session.scalars(
            text(
                "SELECT proname FROM pg_proc WHERE pronamespace::regnamespace::text = ANY(:schemas)"
                r" AND prosrc ~* 'set_config|\mset (local|session)'"
            ),
            {"schemas": list(SCHEMAS)},
        )
        callers = "|".join(sorted(functions))
    await pool.dispose()
    assert callers == "authenticate_credential"
    sets = re.compile(rf"set_config\(|\bSET (?:LOCAL|SESSION)\b|-c app\.|\bapp\.(?:{callers})\b")
    files = [source for source in sources(*PACKAGES) if not source.path.startswith("database/migrations/")]
    found = [
        f"{source.path}:{line}"
        for source in files
        for line, string in strings_for_any_connection(source)
        if sets.search(string)
    ]
    assert found == []
    assert [source.path for source in files if sets.search(source.text)] == SETTING

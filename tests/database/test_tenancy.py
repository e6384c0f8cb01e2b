from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from psycopg.errors import InsufficientPrivilege
from sqlalchemy.ext.asyncio import AsyncSession

from database.engine import create_pool
from database.models import Workspace
from database.roles import APP_ROLE, connect, owner_url, role_url
from database.tenancy import STATEMENT_TIMEOUT, Scope, transaction
from tests.database.rows import ACCOUNTS, TABLES, WORKSPACES, Ids, fill_every_table, insert, named, row_for

ENGINE_ONLY = {"app.job_workers"}
APPEND_ONLY = {"app.lead_events", "app.enrollment_events", "app.suppression_removals", "app.reply_corrections"}
READ_ONLY = {"app.changes"}
OF_TENANTS = [table for table in TABLES if str(table) not in ENGINE_ONLY]


@dataclass(frozen=True, slots=True)
class Tenants:
    """Two tenants with a row in every table each, and a connection as the app's role."""

    mine: Ids
    theirs: Ids
    app: psycopg.Connection


@pytest.fixture
def owner(database_url: str) -> Iterator[psycopg.Connection]:
    """The owner of the tables, whom row-level security does not bind."""
    with connect(owner_url(database_url)) as connection:
        yield connection


@pytest.fixture
def tenants(database_url: str, owner: psycopg.Connection) -> Iterator[Tenants]:
    """Fill every table for two tenants."""
    mine, theirs = fill_every_table(owner, "mine"), fill_every_table(owner, "theirs")
    with connect(role_url(owner_url(database_url), APP_ROLE)) as app:
        app.autocommit = False
        yield Tenants(mine, theirs, app)


def enter(app: psycopg.Connection, ids: Ids) -> None:
    """Start a transaction in the scope of a tenant, as the service does."""
    app.rollback()
    app.execute(
        "SELECT set_config('app.workspace_id', %s, true), set_config('app.account_id', %s, true)",
        [str(ids[WORKSPACES]), str(ids[ACCOUNTS])],
    )


def count(connection: psycopg.Connection, table: sa.Table) -> int:
    """Return how many rows are visible."""
    found = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(named(table))).fetchone()
    assert found is not None
    return int(found[0])


def test_every_table_is_a_model(owner: psycopg.Connection) -> None:
    """The catalogue holds no table that these tests would not see."""
    rows = owner.execute("SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('app','everlytic')")
    assert {name for (name,) in rows} == {str(table) for table in TABLES}


def test_every_table_has_row_level_security(owner: psycopg.Connection) -> None:
    """Each table of the app and of the provider record is secured, and has a policy for the app unless the engine's."""
    rows = owner.execute(
        """
        SELECT c.relnamespace::regnamespace || '.' || c.relname, c.relrowsecurity,
               (SELECT count(*) FROM pg_policy p
                 WHERE p.polrelid = c.oid AND 'salesmatter_app'::regrole = ANY(p.polroles))
          FROM pg_class c
         WHERE c.relkind IN ('r', 'p') AND c.relnamespace::regnamespace::text IN ('app', 'everlytic')
        """
    ).fetchall()
    assert [name for name, secured, _ in rows if not secured] == []
    assert {name for name, _, policies in rows if not policies} == ENGINE_ONLY


def test_no_row_is_seen_without_a_tenant(tenants: Tenants) -> None:
    """A transaction that has named no tenant sees nothing in any table."""
    assert {str(table): count(tenants.app, table) for table in OF_TENANTS} == {str(table): 0 for table in OF_TENANTS}


def test_a_tenant_sees_its_own_rows_alone(tenants: Tenants, owner: psycopg.Connection) -> None:
    """Raw SQL in one tenant's scope finds that tenant's row of each table, of the two or more that exist."""
    for table in OF_TENANTS:
        assert count(owner, table) >= 2, f"the test has no rows in {table}"
    for ids in (tenants.mine, tenants.theirs):
        enter(tenants.app, ids)
        for table in OF_TENANTS:
            column = {ACCOUNTS: "id", WORKSPACES: "id"}.get(str(table), "workspace_id")
            if column not in table.c:
                column = "account_id"
            expected = ids[ACCOUNTS] if str(table) == ACCOUNTS or column == "account_id" else ids[WORKSPACES]
            seen = tenants.app.execute(
                sql.SQL("SELECT DISTINCT {} FROM {}").format(sql.Identifier(column), named(table))
            )
            assert seen.fetchall() == [(expected,)], f"in {table}"


def test_nobody_elses_rows_can_be_changed_or_deleted(tenants: Tenants, owner: psycopg.Connection) -> None:
    """UPDATE and DELETE without WHERE on every table take one tenant's rows and leave the other's as they were."""
    writable = [table for table in OF_TENANTS if str(table) not in APPEND_ONLY | READ_ONLY]
    enter(tenants.app, tenants.mine)
    for table in writable:
        key = sql.Identifier(next(iter(table.primary_key.columns)).name)
        changed = tenants.app.execute(sql.SQL("UPDATE {} SET {} = {}").format(named(table), key, key))
        assert changed.rowcount == 1, f"in {table}"
    for table in reversed(writable):
        tenants.app.execute(sql.SQL("DELETE FROM {}").format(named(table)))
    tenants.app.commit()
    left = {str(table): count(owner, table) for table in OF_TENANTS if str(table) not in READ_ONLY}
    assert left == dict.fromkeys(left, 1)


def test_nothing_can_be_written_for_somebody_else(tenants: Tenants) -> None:
    """An INSERT in the name of another tenant is refused in each table."""
    for table in OF_TENANTS:
        enter(tenants.app, tenants.mine)
        row = row_for(table, tenants.theirs, "forged")
        if str(table) == ACCOUNTS:
            row["id"] = "00000000-0000-7000-8000-000000000000"
        with pytest.raises(InsufficientPrivilege):
            insert(tenants.app, table, row, {})


@pytest.mark.parametrize("table", sorted(APPEND_ONLY | READ_ONLY))
@pytest.mark.parametrize("statement", ["UPDATE {} SET workspace_id = workspace_id", "DELETE FROM {}", "TRUNCATE {}"])
def test_history_cannot_be_rewritten(tenants: Tenants, table: str, statement: str) -> None:
    """The app may not change or remove what is append-only, not even its own."""
    enter(tenants.app, tenants.mine)
    with pytest.raises(InsufficientPrivilege, match="permission denied"):
        tenants.app.execute(sql.SQL(statement).format(sql.Identifier(*table.split("."))))


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE app.leads DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE app.leads OWNER TO salesmatter_app",
        "CREATE POLICY all_of_it ON app.leads USING (true)",
        "DROP POLICY workspace ON app.leads",
        "ALTER ROLE salesmatter_app BYPASSRLS",
        "SET ROLE salesmatter_engine",
        "CREATE TABLE app.loot (id int)",
        "INSERT INTO app.changes (workspace_id, table_name) VALUES (gen_random_uuid(), 'leads')",
    ],
)
def test_the_app_cannot_free_itself(tenants: Tenants, statement: str) -> None:
    """No statement at the app's disposal lifts the policies."""
    enter(tenants.app, tenants.mine)
    with pytest.raises(InsufficientPrivilege):
        tenants.app.execute(statement)


def test_switching_row_security_off_is_an_error(tenants: Tenants) -> None:
    """`SET row_security = off` makes queries fail; it does not show more."""
    enter(tenants.app, tenants.mine)
    tenants.app.execute("SET LOCAL row_security = off")
    with pytest.raises(InsufficientPrivilege, match="row-level security"):
        tenants.app.execute("SELECT * FROM app.leads")


def test_a_credential_shows_the_one_row_it_belongs_to(tenants: Tenants, owner: psycopg.Connection) -> None:
    """With the hash of a key, a webhook token or a subject alone, exactly the one row that has it is visible."""
    owner.execute("UPDATE app.users SET subject_hash = 'subject of ' || email")
    secrets = {"app.api_keys": "secret_hash", "app.everlytic_connections": "webhook_token_hash"}
    for table, column in (*secrets.items(), ("app.users", "subject_hash")):
        where = sql.Identifier(*table.split("."))
        (stored,) = owner.execute(sql.SQL("SELECT {} FROM {} LIMIT 1").format(sql.Identifier(column), where)).fetchone()  # type: ignore[misc]  # there are two
        tenants.app.rollback()
        tenants.app.execute("SELECT set_config('app.credential_hash', %s, true)", [stored])
        seen = tenants.app.execute(sql.SQL("SELECT {} FROM {}").format(sql.Identifier(column), where)).fetchall()
        assert seen == [(stored,)]
        others = [one for one in OF_TENANTS if str(one) != table]
        assert {str(one): count(tenants.app, one) for one in others} == {str(one): 0 for one in others}


def test_a_verified_address_shows_the_users_who_have_it(tenants: Tenants, owner: psycopg.Connection) -> None:
    """With an address alone, the users of any account who have it are visible, to look at; nothing else is."""
    owner.execute("UPDATE app.users SET email = 'Bo@Acme.example'")
    owner.execute("UPDATE app.users SET email = 'eve@acme.example' WHERE id = %s", [tenants.theirs["app.users"]])
    tenants.app.rollback()
    tenants.app.execute("SELECT set_config('app.verified_email', 'bo@acme.example', true)")

    assert tenants.app.execute("SELECT id FROM app.users").fetchall() == [(tenants.mine["app.users"],)]
    assert tenants.app.execute("UPDATE app.users SET name = 'Eve'").rowcount == 0
    assert tenants.app.execute("DELETE FROM app.users").rowcount == 0
    others = [one for one in OF_TENANTS if str(one) != "app.users"]
    assert {str(one): count(tenants.app, one) for one in others} == {str(one): 0 for one in others}


def test_a_job_holds_its_workspace_and_changes_nothing(tenants: Tenants) -> None:
    """A transaction that knows its workspace alone may lock its row, and nobody else's, but not update it."""
    tenants.app.rollback()
    tenants.app.execute("SELECT set_config('app.workspace_id', %s, true)", [str(tenants.mine[WORKSPACES])])

    held = tenants.app.execute("SELECT id FROM app.workspaces FOR NO KEY UPDATE").fetchall()
    assert held == [(tenants.mine[WORKSPACES],)]
    with pytest.raises(InsufficientPrivilege, match="row-level security"):
        tenants.app.execute("UPDATE app.workspaces SET name = 'mine now'")


def test_every_change_is_logged_for_its_workspace(tenants: Tenants, owner: psycopg.Connection) -> None:
    """Each insert was noted under its workspace, or its account, and table, in every table that has the trigger."""
    logging = {
        name for (name,) in owner.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'log_insert'")
    }
    assert {"app.leads", "app.scheduled_jobs", "app.workspaces", "everlytic.campaign_reports"} <= logging
    for ids in (tenants.mine, tenants.theirs):
        noted = owner.execute(
            "SELECT DISTINCT table_name FROM app.changes WHERE workspace_id = ANY(%s)",
            [[ids[WORKSPACES], ids[ACCOUNTS]]],
        )
        assert {name for (name,) in noted} == {name.partition(".")[2] for name in logging}


@pytest.mark.anyio
async def test_a_scope_ends_with_its_transaction(tenants: Tenants, database_url: str) -> None:
    """A pooled connection forgets the tenant and the time-out at commit, so that the next user starts blind."""
    pool = create_pool(role_url(owner_url(database_url), APP_ROLE), size=1)
    async with transaction(pool, Scope(workspace_id=tenants.mine[WORKSPACES])) as session:
        assert await session.scalar(sa.select(Workspace.id)) == tenants.mine[WORKSPACES]
        assert await session.scalar(sa.text("SHOW statement_timeout")) in {STATEMENT_TIMEOUT, "1min"}
    async with AsyncSession(pool) as session:
        assert await session.scalar(sa.select(Workspace.id)) is None
        assert await session.scalar(sa.text("SHOW statement_timeout")) == "0"
    await pool.dispose()

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
from tests.database.rows import ACCOUNTS, TABLES, WORKSPACES, Ids, fill_every_table, insert, quote_table_name, row_for

ENGINE_ONLY = {"app.job_workers"}
APPEND_ONLY = {"app.lead_events", "app.enrollment_events", "app.suppression_removals", "app.reply_corrections"}
READ_ONLY = {"app.changes"}
OF_TENANTS = [table for table in TABLES if str(table) not in ENGINE_ONLY]


@dataclass(frozen=True, slots=True)
class Tenants:
    """Two tenants with a row in every table, and a connection as the app's role."""

    mine: Ids
    theirs: Ids
    app: psycopg.Connection


@pytest.fixture
def owner(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection as the owner of the tables, which bypasses row-level security."""
    with connect(owner_url(database_url)) as connection:
        yield connection


@pytest.fixture
def tenants(database_url: str, owner: psycopg.Connection) -> Iterator[Tenants]:
    """Two tenants with a row in every table."""
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
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(quote_table_name(table))).fetchone()
    assert row is not None
    return int(row[0])


def assert_no_rows(connection: psycopg.Connection, tables: list[sa.Table]) -> None:
    """Assert that the tables have no visible rows."""
    assert {str(table): count(connection, table) for table in tables} == {str(table): 0 for table in tables}


def test_every_table_is_a_model(owner: psycopg.Connection) -> None:
    """Every table of the database has a model, so these tests cover it."""
    rows = owner.execute("SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('app','everlytic')")
    assert {name for (name,) in rows} == {str(table) for table in TABLES}


def test_every_table_has_row_level_security(owner: psycopg.Connection) -> None:
    """Each table has row-level security, and a policy for the app unless only the engine uses it."""
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


def test_no_row_is_visible_without_a_tenant(tenants: Tenants) -> None:
    """A transaction without a tenant sees no rows in any table."""
    assert {str(table): count(tenants.app, table) for table in OF_TENANTS} == {str(table): 0 for table in OF_TENANTS}


def test_a_tenant_sees_only_its_own_rows(tenants: Tenants, owner: psycopg.Connection) -> None:
    """Raw SQL in a tenant's scope returns only that tenant's row of each table."""
    for table in OF_TENANTS:
        assert count(owner, table) >= 2, f"the test has no rows in {table}"
    for ids in (tenants.mine, tenants.theirs):
        enter(tenants.app, ids)
        for table in OF_TENANTS:
            column = {ACCOUNTS: "id", WORKSPACES: "id"}.get(str(table), "workspace_id")
            if column not in table.c:
                column = "account_id"
            expected = ids[ACCOUNTS] if str(table) == ACCOUNTS or column == "account_id" else ids[WORKSPACES]
            rows = tenants.app.execute(
                sql.SQL("SELECT DISTINCT {} FROM {}").format(sql.Identifier(column), quote_table_name(table))
            )
            assert rows.fetchall() == [(expected,)], f"in {table}"


def test_rows_of_other_tenants_cannot_be_changed_or_deleted(tenants: Tenants, owner: psycopg.Connection) -> None:
    """UPDATE and DELETE without WHERE affect only the tenant's own rows in every table."""
    writable = [table for table in OF_TENANTS if str(table) not in APPEND_ONLY | READ_ONLY]
    enter(tenants.app, tenants.mine)
    for table in writable:
        key = sql.Identifier(next(iter(table.primary_key.columns)).name)
        changed = tenants.app.execute(sql.SQL("UPDATE {} SET {} = {}").format(quote_table_name(table), key, key))
        assert changed.rowcount == 1, f"in {table}"
    for table in reversed(writable):
        tenants.app.execute(sql.SQL("DELETE FROM {}").format(quote_table_name(table)))
    tenants.app.commit()
    remaining = {str(table): count(owner, table) for table in OF_TENANTS if str(table) not in READ_ONLY}
    assert remaining == dict.fromkeys(remaining, 1)


def test_rows_of_other_tenants_cannot_be_inserted(tenants: Tenants) -> None:
    """An INSERT of another tenant's row is refused in each table."""
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
    """The app cannot update or delete rows of append-only tables, not even its own."""
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
def test_the_app_cannot_bypass_the_policies(tenants: Tenants, statement: str) -> None:
    """The app cannot change policies, ownership, roles or the change log."""
    enter(tenants.app, tenants.mine)
    with pytest.raises(InsufficientPrivilege):
        tenants.app.execute(statement)


def test_switching_row_security_off_is_an_error(tenants: Tenants) -> None:
    """`SET row_security = off` makes queries fail and shows no more rows."""
    enter(tenants.app, tenants.mine)
    tenants.app.execute("SET LOCAL row_security = off")
    with pytest.raises(InsufficientPrivilege, match="row-level security"):
        tenants.app.execute("SELECT * FROM app.leads")


def test_a_credential_shows_the_one_row_it_belongs_to(tenants: Tenants, owner: psycopg.Connection) -> None:
    """With only the hash of a key, a webhook token or a subject, exactly the row with that hash is visible."""
    owner.execute("UPDATE app.users SET subject_hash = 'subject of ' || email")
    secrets = {"app.api_keys": "secret_hash", "app.everlytic_connections": "webhook_token_hash"}
    for table, column in (*secrets.items(), ("app.users", "subject_hash")):
        where = sql.Identifier(*table.split("."))
        (stored,) = owner.execute(sql.SQL("SELECT {} FROM {} LIMIT 1").format(sql.Identifier(column), where)).fetchone()  # type: ignore[misc]  # there are two
        tenants.app.rollback()
        tenants.app.execute("SELECT set_config('app.credential_hash', %s, true)", [stored])
        rows = tenants.app.execute(sql.SQL("SELECT {} FROM {}").format(sql.Identifier(column), where)).fetchall()
        assert rows == [(stored,)]
        assert_no_rows(tenants.app, [other for other in OF_TENANTS if str(other) != table])


def test_a_verified_address_shows_its_users(tenants: Tenants, owner: psycopg.Connection) -> None:
    """With only a verified address, its users in any account are visible and cannot be changed; no other row is."""
    owner.execute("UPDATE app.users SET email = 'Bo@Acme.example'")
    owner.execute("UPDATE app.users SET email = 'eve@acme.example' WHERE id = %s", [tenants.theirs["app.users"]])
    tenants.app.rollback()
    tenants.app.execute("SELECT set_config('app.verified_email', 'bo@acme.example', true)")

    assert tenants.app.execute("SELECT id FROM app.users").fetchall() == [(tenants.mine["app.users"],)]
    assert tenants.app.execute("UPDATE app.users SET name = 'Eve'").rowcount == 0
    assert tenants.app.execute("DELETE FROM app.users").rowcount == 0
    assert_no_rows(tenants.app, [table for table in OF_TENANTS if str(table) != "app.users"])


def test_a_job_can_lock_its_workspace_and_not_update_it(tenants: Tenants) -> None:
    """A transaction with only a workspace in its scope can lock the row of that workspace and cannot update it."""
    tenants.app.rollback()
    tenants.app.execute("SELECT set_config('app.workspace_id', %s, true)", [str(tenants.mine[WORKSPACES])])

    locked = tenants.app.execute("SELECT id FROM app.workspaces FOR NO KEY UPDATE").fetchall()
    assert locked == [(tenants.mine[WORKSPACES],)]
    with pytest.raises(InsufficientPrivilege, match="row-level security"):
        tenants.app.execute("UPDATE app.workspaces SET name = 'mine now'")


def test_every_change_is_logged_for_its_workspace(tenants: Tenants, owner: psycopg.Connection) -> None:
    """Each insert into a table with the trigger is logged under its workspace or account."""
    logging = {
        name for (name,) in owner.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'log_insert'")
    }
    assert {"app.leads", "app.scheduled_jobs", "app.workspaces", "everlytic.campaign_reports"} <= logging
    for ids in (tenants.mine, tenants.theirs):
        logged = owner.execute(
            "SELECT DISTINCT table_name FROM app.changes WHERE workspace_id = ANY(%s)",
            [[ids[WORKSPACES], ids[ACCOUNTS]]],
        )
        assert {name for (name,) in logged} == {name.partition(".")[2] for name in logging}


@pytest.mark.anyio
async def test_a_scope_ends_with_its_transaction(tenants: Tenants, database_url: str) -> None:
    """A commit resets the tenant and the timeout of a pooled connection, so that the next session sees no rows."""
    pool = create_pool(role_url(owner_url(database_url), APP_ROLE), size=1)
    async with transaction(pool, Scope(workspace_id=tenants.mine[WORKSPACES])) as session:
        assert await session.scalar(sa.select(Workspace.id)) == tenants.mine[WORKSPACES]
        assert await session.scalar(sa.text("SHOW statement_timeout")) in {STATEMENT_TIMEOUT, "1min"}
    async with AsyncSession(pool) as session:
        assert await session.scalar(sa.select(Workspace.id)) is None
        assert await session.scalar(sa.text("SHOW statement_timeout")) == "0"
    await pool.dispose()

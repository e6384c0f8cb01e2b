import uuid
from collections.abc import Iterator

import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from database.errors import DatabaseUnreachable, InvalidDatabaseUrl, MissingPrivilege
from database.roles import APP_ROLE, ENGINE_ROLE, connect, ensure_roles, libpq_url, owner_url, role_url

ENGINE_PRIVILEGES = {
    "app.archived_jobs": {"INSERT"},
    "app.scheduled_jobs": {"SELECT", "UPDATE", "DELETE"},
    "app.workspace_limits": {"SELECT", "UPDATE"},
    "app.job_workers": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "app.changes": {"SELECT", "DELETE"},
    "public.alembic_version": {"SELECT"},
}


def test_the_roles_have_no_special_privileges(database_url: str) -> None:
    """Both roles may log in; neither is a superuser, bypasses row-level security, owns a relation or has a role."""
    with connect(owner_url(database_url)) as owner:
        rows = owner.execute(
            """
            SELECT rolname, rolcanlogin, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication,
                   EXISTS (SELECT 1 FROM pg_class WHERE relowner = r.oid)
                   OR EXISTS (SELECT 1 FROM pg_auth_members WHERE member = r.oid)
              FROM pg_roles r WHERE rolname = ANY(%s) ORDER BY rolname
            """,
            [[APP_ROLE, ENGINE_ROLE]],
        ).fetchall()
    assert rows == [(APP_ROLE, True, False, False), (ENGINE_ROLE, True, False, False)]


def test_the_engine_has_access_only_to_its_tables(database_url: str) -> None:
    """The engine has the listed privileges on the tables of the queue and the change log, and no others."""
    with connect(owner_url(database_url)) as owner:
        rows = owner.execute(
            """
            SELECT c.relnamespace::regnamespace || '.' || c.relname, p.privilege
              FROM pg_class c,
                   unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])
                     AS p (privilege)
             WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f')
               AND c.relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')
               AND has_table_privilege('salesmatter_engine', c.oid, p.privilege)
            """
        ).fetchall()
    privileges: dict[str, set[str]] = {}
    for name, privilege in rows:
        privileges.setdefault(name, set()).add(privilege)
    assert privileges == ENGINE_PRIVILEGES


@pytest.mark.parametrize("table", ["app.leads", "app.email_drafts", "app.api_keys", "everlytic.transactions"])
def test_the_engine_cannot_read_a_tenants_data(database_url: str, table: str) -> None:
    """The engine cannot read tables with user data."""
    with connect(role_url(owner_url(database_url), ENGINE_ROLE)) as engine, pytest.raises(InsufficientPrivilege):
        engine.execute(sql.SQL("SELECT 1 FROM {}").format(sql.Identifier(*table.split("."))))


def test_roles_log_in_with_derived_passwords(database_url: str) -> None:
    """Both roles log in with their derived passwords, which differ from each other and from the owner's."""
    owner = owner_url(database_url)
    urls = {role: role_url(owner, role) for role in (APP_ROLE, ENGINE_ROLE)}
    for role, url in urls.items():
        with connect(url) as connection:
            assert connection.execute("SELECT current_user").fetchone() == (role,)
    assert len({owner.password, *(url.password for url in urls.values())}) == 3


def test_creating_the_roles_again_changes_nothing(database_url: str) -> None:
    """A second run does not change roles that can log in, so that running services stay connected."""
    owner = owner_url(database_url)
    with connect(owner) as connection:
        before = connection.execute("SELECT rolname, rolpassword FROM pg_authid ORDER BY rolname").fetchall()
        ensure_roles(owner)
        assert connection.execute("SELECT rolname, rolpassword FROM pg_authid ORDER BY rolname").fetchall() == before


@pytest.fixture
def plain_user(database_url: str) -> Iterator[str]:
    """The URL of a user who may only connect."""
    name = f"plain_{uuid.uuid4().hex[:12]}"
    owner = owner_url(database_url)
    with connect(owner) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'pw'").format(sql.Identifier(name)))
        yield libpq_url(owner.set(username=name, password="pw"))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_an_owner_without_createrole_gets_a_clear_error(plain_user: str) -> None:
    """The error names the missing privilege and the alternative."""
    with pytest.raises(MissingPrivilege, match="CREATEROLE"):
        ensure_roles(owner_url(plain_user))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "not a URL"),
        ("mysql://a:b@c/d", "Only postgresql://"),
        ("postgresql://a@c/d", "no password"),
        ("postgresql://a:b@c", "no database"),
        ("postgresql:///d", "no username"),
        ("postgresql://a:b@c:port/d", "not a URL"),
    ],
)
def test_an_invalid_url_is_refused_with_the_reason(text: str, message: str) -> None:
    """The error for an invalid DATABASE_URL says what is wrong and never contains the password."""
    with pytest.raises(InvalidDatabaseUrl, match=message) as raised:
        owner_url(text)
    assert ":b@" not in str(raised.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg"])
def test_any_usual_scheme_is_accepted(scheme: str) -> None:
    """A URL for any Postgres driver is accepted; we use psycopg, and libpq programs get a plain URL."""
    url = owner_url(f"{scheme}://a:p%40ss@host:5433/d?sslmode=require")
    assert url.drivername == "postgresql+psycopg"
    assert url.password == "p@ss"
    assert libpq_url(url) == "postgresql://a:p%40ss@host:5433/d?sslmode=require"


def test_an_unreachable_server_is_a_one_line_error(database_url: str) -> None:
    """The error for an unreachable server or a missing database has the server's message and no password."""
    owner = owner_url(database_url)
    for url in (owner.set(port=1), owner.set(database="no_such_database")):
        with pytest.raises(DatabaseUnreachable, match="cannot be reached") as raised:
            connect(url)
        assert str(owner.password) not in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_wrong_password_has_the_servers_message(database_url: str) -> None:
    """The error for a wrong password has the server's message."""
    with pytest.raises(DatabaseUnreachable, match="password authentication failed"):
        connect(owner_url(database_url).set(password="wrong"))

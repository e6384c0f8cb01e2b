import uuid
from collections.abc import Iterator

import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from database.errors import DatabaseUnreachable, InvalidDatabaseUrl, MissingPrivilege
from database.roles import APP_ROLE, ENGINE_ROLE, connect, ensure_roles, libpq_url, owner_url, role_url

ENGINE_MAY = {
    "app.archived_jobs": {"INSERT"},
    "app.scheduled_jobs": {"SELECT", "UPDATE", "DELETE"},
    "app.workspace_limits": {"SELECT", "UPDATE"},
    "app.job_workers": {"SELECT", "INSERT", "UPDATE", "DELETE"},
    "app.changes": {"SELECT", "DELETE"},
    "public.alembic_version": {"SELECT"},
}


def test_neither_role_is_above_the_rules(database_url: str) -> None:
    """Both may log in, and neither is superuser, bypasses row-level security, owns anything or is in another role."""
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


def test_the_engine_reaches_its_tables_alone(database_url: str) -> None:
    """The engine's privileges are the queue's and the change log's, table by table, and none elsewhere."""
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
    found: dict[str, set[str]] = {}
    for name, privilege in rows:
        found.setdefault(name, set()).add(privilege)
    assert found == ENGINE_MAY


@pytest.mark.parametrize("table", ["app.leads", "app.email_drafts", "app.api_keys", "everlytic.transactions"])
def test_the_engine_cannot_read_a_tenants_data(database_url: str, table: str) -> None:
    """What people wrote and sent is closed to the engine."""
    with connect(role_url(owner_url(database_url), ENGINE_ROLE)) as engine, pytest.raises(InsufficientPrivilege):
        engine.execute(sql.SQL("SELECT 1 FROM {}").format(sql.Identifier(*table.split("."))))


def test_roles_log_in_with_what_the_owners_password_implies(database_url: str) -> None:
    """Both roles come in with their derived passwords, which differ from each other and from the owner's."""
    owner = owner_url(database_url)
    urls = {role: role_url(owner, role) for role in (APP_ROLE, ENGINE_ROLE)}
    for role, url in urls.items():
        with connect(url) as connection:
            assert connection.execute("SELECT current_user").fetchone() == (role,)
    assert len({owner.password, *(url.password for url in urls.values())}) == 3


def test_making_the_roles_again_changes_nothing(database_url: str) -> None:
    """A second run finds roles that log in and touches nothing, so that running services stay in."""
    owner = owner_url(database_url)
    with connect(owner) as connection:
        before = connection.execute("SELECT rolname, rolpassword FROM pg_authid ORDER BY rolname").fetchall()
        ensure_roles(owner)
        assert connection.execute("SELECT rolname, rolpassword FROM pg_authid ORDER BY rolname").fetchall() == before


@pytest.fixture
def plain_user(database_url: str) -> Iterator[str]:
    """A user who may connect and nothing more; returns the URL."""
    name = f"plain_{uuid.uuid4().hex[:12]}"
    owner = owner_url(database_url)
    with connect(owner) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'pw'").format(sql.Identifier(name)))
        yield libpq_url(owner.set(username=name, password="pw"))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def test_an_owner_who_may_not_make_roles_is_told_so(plain_user: str) -> None:
    """The sentence names the missing privilege and what to do instead."""
    with pytest.raises(MissingPrivilege, match="CREATEROLE"):
        ensure_roles(owner_url(plain_user))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense", "not a URL"),
        ("mysql://a:b@c/d", "only postgresql://"),
        ("postgresql://a@c/d", "no password"),
        ("postgresql://a:b@c", "no database"),
        ("postgresql:///d", "no username"),
        ("postgresql://a:b@c:port/d", "not a URL"),
    ],
)
def test_a_url_that_cannot_work_is_refused_with_the_reason(text: str, says: str) -> None:
    """A wrong DATABASE_URL is one sentence that says what is wrong and never repeats the password."""
    with pytest.raises(InvalidDatabaseUrl, match=says) as raised:
        owner_url(text)
    assert ":b@" not in str(raised.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2", "postgresql+asyncpg"])
def test_any_usual_spelling_is_taken(scheme: str) -> None:
    """Whatever driver a URL was written for, ours is used, and libpq programs get a plain one."""
    url = owner_url(f"{scheme}://a:p%40ss@host:5433/d?sslmode=require")
    assert url.drivername == "postgresql+psycopg"
    assert url.password == "p@ss"
    assert libpq_url(url) == "postgresql://a:p%40ss@host:5433/d?sslmode=require"


def test_a_server_that_is_not_there_is_one_sentence(database_url: str) -> None:
    """An unreachable server and a missing database are said in the server's words, without the password."""
    owner = owner_url(database_url)
    for url in (owner.set(port=1), owner.set(database="no_such_database")):
        with pytest.raises(DatabaseUnreachable, match="cannot be reached") as raised:
            connect(url)
        assert str(owner.password) not in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_wrong_password_is_one_sentence(database_url: str) -> None:
    """A wrong password is said in the server's words too."""
    with pytest.raises(DatabaseUnreachable, match="password authentication failed"):
        connect(owner_url(database_url).set(password="wrong"))

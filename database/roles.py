"""Defines the database roles: the owner of DATABASE_URL, the app with row-level security, and the job engine."""

import contextlib
import hashlib
import hmac

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from database.errors import (
    DatabaseError,
    DatabaseUnreachable,
    InvalidDatabaseUrl,
    MissingPrivilege,
    SchemaOutOfDate,
)

APP_ROLE = "salesmatter_app"
ENGINE_ROLE = "salesmatter_engine"

DRIVER = "postgresql+psycopg"
IDLE_TIMEOUT = "30s"
"""How long a transaction may wait for its process, which may be frozen, before Postgres ends it with its locks.

It is a setting of the roles, so that it also holds behind a pooler in transaction mode.
"""


def owner_url(text: str) -> URL:
    """Parse a DATABASE_URL for SQLAlchemy and psycopg 3; raises InvalidDatabaseUrl, which says what is wrong."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise InvalidDatabaseUrl(
            "DATABASE_URL is not a URL. Use the form postgresql://user:password@host:5432/database."
        ) from error
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise InvalidDatabaseUrl(f"DATABASE_URL starts with '{url.drivername}://'. Only postgresql:// is supported.")
    missing = [name for name in ("username", "password", "host", "database") if not getattr(url, name)]
    if missing:
        raise InvalidDatabaseUrl(
            f"DATABASE_URL has no {' and no '.join(missing)}. "
            "Use the form postgresql://user:password@host:5432/database."
        )
    return url.set(drivername=DRIVER)


def role_url(owner: URL, role: str) -> URL:
    """Return the URL with which `role` logs in to the owner's database."""
    return owner.set(username=role, password=_derived_password(owner, role))


def libpq_url(url: URL) -> str:
    """Return a URL for psycopg and other libpq programs, with the password."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def connect(url: URL) -> psycopg.Connection:
    """Open a psycopg connection in autocommit; raises DatabaseUnreachable with the server's message."""
    try:
        return psycopg.connect(libpq_url(url), autocommit=True, connect_timeout=10, prepare_threshold=None)
    except psycopg.OperationalError as error:
        raise explain_connection_error(url, error) from error


def explain_connection_error(url: URL, error: BaseException) -> DatabaseError:
    """Return the error for a failed connection: the server's message and what to do."""
    # The driver indents its hints below the reason.
    reasons = [line for line in str(error).strip().splitlines() if not line.startswith((" ", "\t"))]
    reason = reasons[-1].removeprefix("connection failed: ").rstrip(".")
    if url.username in {APP_ROLE, ENGINE_ROLE} and "authentication failed" in reason:
        return SchemaOutOfDate(
            f"The role {url.username} cannot log in to {url.database}. "
            "Run `salesmatter migrate`, which creates the role."
        )
    return DatabaseUnreachable(
        f"The database at {url.host}:{url.port or 5432}/{url.database} cannot be reached: {reason}. "
        "Check DATABASE_URL and that the server is running."
    )


def ensure_roles(owner: URL) -> None:
    """Create the app's and the engine's roles, or update their passwords, which derive from the owner's.

    Raises MissingPrivilege when the owner may not create roles.
    """
    with connect(owner) as connection:
        for role in (APP_ROLE, ENGINE_ROLE):
            _ensure_role(connection, role, _derived_password(owner, role))
            _ensure_idle_timeout(connection, role)


def _ensure_role(connection: psycopg.Connection, role: str, password: str) -> None:
    exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    if exists and _logs_in(connection, role, password):
        return
    verb = sql.SQL("ALTER" if exists else "CREATE")
    statement = sql.SQL("{} ROLE {} LOGIN NOINHERIT PASSWORD {}").format(
        verb, sql.Identifier(role), sql.Literal(password)
    )
    try:
        connection.execute(statement)
    except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
        return  # another migration on the same server has just created it
    except psycopg.errors.InsufficientPrivilege as error:
        raise MissingPrivilege(
            f"The user of DATABASE_URL may not create the role {role}. Grant it CREATEROLE, "
            f"or create the roles {APP_ROLE} and {ENGINE_ROLE} yourself."
        ) from error


def _ensure_idle_timeout(connection: psycopg.Connection, role: str) -> None:
    setting = f"idle_in_transaction_session_timeout={IDLE_TIMEOUT}"
    statement = "SELECT 1 FROM pg_roles WHERE rolname = %s AND %s = ANY(rolconfig)"
    if connection.execute(statement, [role, setting]).fetchone():
        return
    alter = sql.SQL("ALTER ROLE {} SET idle_in_transaction_session_timeout = {}")
    # An owner that may not change a role made by another user goes on without the timeout, and so does the second of
    # two concurrent migrations, because the first has set it.
    with contextlib.suppress(psycopg.errors.InsufficientPrivilege, psycopg.errors.InternalError):
        connection.execute(alter.format(sql.Identifier(role), sql.Literal(IDLE_TIMEOUT)))


def _logs_in(connection: psycopg.Connection, role: str, password: str) -> bool:
    try:
        psycopg.connect(connection.info.dsn, user=role, password=password, host=connection.info.host).close()
    except psycopg.OperationalError:
        return False
    return True


def _derived_password(owner: URL, role: str) -> str:
    return hmac.new(str(owner.password).encode(), role.encode(), hashlib.sha256).hexdigest()

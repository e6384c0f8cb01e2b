"""Migrates a database to the schema of this code, and checks the schema version."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool

from database.errors import SchemaOutOfDate
from database.roles import connect, ensure_roles, explain_connection_error

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 5_241_903_117
"""The advisory lock key of migrations: only one process migrates at a time."""


def migrate(owner: URL) -> None:
    """Create the roles and apply all missing migrations in one transaction.

    `owner` must be a direct URL. Raises DatabaseUnreachable, MissingPrivilege, and SchemaOutOfDate for a schema that
    other code has migrated.
    """
    connect(owner).close()
    ensure_roles(owner)
    with _connect(owner) as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        _require_known(_read_revision(connection))
        command.upgrade(_build_config(connection), "head")
        connection.commit()


async def require_current_schema(pool: AsyncEngine) -> None:
    """Raise SchemaOutOfDate unless the database is at the newest migration; raises DatabaseUnreachable."""
    try:
        async with pool.connect() as connection:
            revision = await connection.run_sync(_read_revision)
    except OperationalError as error:
        raise explain_connection_error(pool.url, error.orig or error) from error
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    if revision != head:
        raise SchemaOutOfDate(
            f"The database schema is at revision {revision or 'none'}, and this code needs {head}. "
            "Run `salesmatter migrate`."
        )


def _require_known(revision: str | None) -> None:
    known = {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}
    if revision is not None and revision not in known:
        raise SchemaOutOfDate(
            f"The database schema is at revision {revision}, which this code does not know. "
            "Run the code that migrated it, or use an empty database."
        )


def _read_revision(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table_schema": "public"})
    return context.get_current_revision()


def _connect(owner: URL) -> Connection:
    return create_engine(owner, poolclass=NullPool, connect_args={"prepare_threshold": None}).connect()


def _build_config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config

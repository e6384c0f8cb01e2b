"""What every command stands on: a database (given or embedded), its schema, and what child processes are told."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.engine import URL

from database.embedded import start
from database.engine import create_pool
from database.migrate import migrate, require_current_schema
from database.roles import libpq_url, owner_url
from database.settings import DatabaseSettings
from salesmatter import checkout


@dataclass(frozen=True, slots=True)
class Database:
    """A database that can be connected to; `direct` bypasses a pooler where there is one."""

    owner: URL
    direct: URL

    def environment(self) -> dict[str, str]:
        """Return what a process of ours needs to be told: the database, the key of its secrets, where dbt may write."""
        return {
            "DBT_TARGET_PATH": os.environ.get("DBT_TARGET_PATH") or str(checkout.state() / "dbt"),
            "DATABASE_URL": libpq_url(self.owner),
            "DATABASE_URL_UNPOOLED": libpq_url(self.direct),
            "SALESMATTER_SECRET_KEY": checkout.secret_key(),
        }


@contextmanager
def open_database() -> Iterator[Database]:
    """Give the database of DATABASE_URL, or else the embedded one of this checkout, running until the context ends.

    Raises DatabaseError.
    """
    settings = DatabaseSettings()
    if settings.database_url is not None:
        yield Database(owner_url(settings.owner_url()), owner_url(settings.direct_url()))
        return
    with start(checkout.state() / "postgres", bin_dir=settings.salesmatter_postgres_bin) as server:
        yield Database(owner_url(server.url), owner_url(server.url))


@contextmanager
def open_migrated_database() -> Iterator[Database]:
    """Give the database with its schema up to date; raises DatabaseError."""
    with open_database() as database:
        migrate(database.direct)
        yield database


@contextmanager
def database_in_environment() -> Iterator[Database]:
    """Give the database, and let this process's settings find it and the secret key; for the service's own doors."""
    with open_database() as database:
        os.environ.update(database.environment())
        yield database


def require_schema(database: Database) -> None:
    """Raise SchemaOutOfDate unless the schema is the one this code was written for."""

    async def ask() -> None:
        pool = create_pool(database.owner, size=1, application_name="salesmatter")
        try:
            await require_current_schema(pool)
        finally:
            await pool.dispose()

    asyncio.run(ask())

"""Opens the database of a command (external or embedded), and builds the environment of its child processes."""

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
    """URLs of a running database; `direct` bypasses the pooler if there is one."""

    owner: URL
    direct: URL

    def to_environment(self) -> dict[str, str]:
        """Return the environment of our processes: the database URLs, the secret key and dbt's target folder."""
        return {
            "DBT_TARGET_PATH": os.environ.get("DBT_TARGET_PATH") or str(checkout.ensure_state_dir() / "dbt"),
            "DATABASE_URL": libpq_url(self.owner),
            "DATABASE_URL_UNPOOLED": libpq_url(self.direct),
            "SALESMATTER_SECRET_KEY": checkout.load_secret_key(),
        }


@contextmanager
def open_database() -> Iterator[Database]:
    """Yield the database of DATABASE_URL, or start this checkout's embedded one until the block ends.

    Raises DatabaseError.
    """
    settings = DatabaseSettings()
    if settings.database_url is not None:
        yield Database(owner_url(settings.owner_url()), owner_url(settings.direct_url()))
        return
    with start(checkout.ensure_state_dir() / "postgres", bin_dir=settings.salesmatter_postgres_bin) as server:
        yield Database(owner_url(server.url), owner_url(server.url))


@contextmanager
def open_migrated_database() -> Iterator[Database]:
    """Yield the database after migrating its schema; raises DatabaseError."""
    with open_database() as database:
        migrate(database.direct)
        yield database


@contextmanager
def open_database_for_settings() -> Iterator[Database]:
    """Yield the database, and set its environment in this process, so that settings classes read it."""
    with open_database() as database:
        os.environ.update(database.to_environment())
        yield database


def require_schema(database: Database) -> None:
    """Raise SchemaOutOfDate unless the schema has the version that this code needs."""

    async def check() -> None:
        pool = create_pool(database.owner, size=1, application_name="salesmatter")
        try:
            await require_current_schema(pool)
        finally:
            await pool.dispose()

    asyncio.run(check())

"""Creates a migrated temporary database for a benchmark run."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL

from benchmarks.errors import BenchmarkError
from database.migrate import migrate
from database.roles import connect
from salesmatter.stack import Database

PREFIX = "salesmatter_bench_"
_LOCK = "SELECT pg_advisory_lock(hashtextextended(%s, 0))"
# A benchmark locks the name of its database until it ends.
_ORPHANS = """
SELECT datname FROM pg_database
 WHERE starts_with(datname, %s) AND pg_has_role(datdba, 'MEMBER')
   AND pg_try_advisory_lock(hashtextextended(datname, 0))
"""


@contextmanager
def fresh_database(server: Database) -> Iterator[Database]:
    """Create a migrated database on `server` for the block, and drop it afterwards.

    Databases of killed runs are dropped first. Raises BenchmarkError without the CREATEDB privilege, and DatabaseError.
    """
    name = PREFIX + secrets.token_hex(6)
    with connect(server.direct) as connection:
        for (orphan,) in connection.execute(_ORPHANS, [PREFIX]).fetchall():
            _drop(server.direct, orphan)
        connection.execute(_LOCK, [name])
        try:
            try:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            except psycopg.errors.InsufficientPrivilege as error:
                raise BenchmarkError(
                    "A benchmark creates a database, which the user of DATABASE_URL may not. Grant it CREATEDB, "
                    "or unset DATABASE_URL to use the embedded server."
                ) from error
            database = Database(server.owner.set(database=name), server.direct.set(database=name))
            migrate(database.direct)
            yield database
        finally:
            # On a new connection: the other one may have been interrupted during a statement.
            _drop(server.direct, name)


def _drop(server: URL, name: str) -> None:
    with connect(server) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

"""A migrated database for one run, on the environment's server, and none left behind."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL

from benchmarks.errors import BenchFailed
from database.migrate import migrate
from database.roles import connect
from salesmatter.stack import Database

PREFIX = "salesmatter_bench_"
_LOCK = "SELECT pg_advisory_lock(hashtextextended(%s, 0))"
# The lock of a database is held for as long as its bench lives.
_ORPHANS = """
SELECT datname FROM pg_database
 WHERE starts_with(datname, %s) AND pg_has_role(datdba, 'MEMBER')
   AND pg_try_advisory_lock(hashtextextended(datname, 0))
"""


@contextmanager
def fresh_database(server: Database) -> Iterator[Database]:
    """Make a database beside that of `server`, and drop it however the block ends.

    What a killed run left behind is dropped first. Raises BenchFailed where no database may be made, and DatabaseError.
    """
    name = PREFIX + secrets.token_hex(6)
    with connect(server.direct) as keeper:
        for (orphan,) in keeper.execute(_ORPHANS, [PREFIX]).fetchall():
            _drop(server.direct, orphan)
        keeper.execute(_LOCK, [name])
        try:
            try:
                keeper.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            except psycopg.errors.InsufficientPrivilege as error:
                raise BenchFailed(
                    "A bench makes a database of its own, which the user of DATABASE_URL may not; grant it CREATEDB, "
                    "or unset DATABASE_URL to use the embedded server."
                ) from error
            database = Database(server.owner.set(database=name), server.direct.set(database=name))
            migrate(database.direct)
            yield database
        finally:
            # By a connection of its own: the other may have been interrupted in the middle of something.
            _drop(server.direct, name)


def _drop(server: URL, name: str) -> None:
    with connect(server) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

"""A baseline: the rows that an import made, copied in by the owner, and nothing else done with them."""

import time
from contextlib import suppress
from pathlib import Path

import psycopg

from benchmarks.errors import BenchFailed
from database.roles import connect
from salesmatter.stack import Database

READ_AT_ONCE = 1024 * 1024

_EMPTY = "TRUNCATE app.leads CASCADE"
_MAKE = "DROP TABLE IF EXISTS app.unindexed; CREATE TABLE app.unindexed (LIKE app.leads INCLUDING DEFAULTS)"


def keep_leads(database: Database, path: Path) -> int:
    """Write all leads to a file, every column, in the order in which they lie; returns how many they are."""
    with connect(database.direct) as connection, path.open("wb") as file:
        cursor = connection.cursor()
        with cursor.copy("COPY app.leads TO STDOUT") as copy:
            file.writelines(copy)
        return cursor.rowcount


def copy_into_leads(database: Database, path: Path, rows: int) -> float:
    """Return how many seconds it takes to copy a file into the emptied `leads`, with all that its rows set off."""
    return _seconds(database, _EMPTY, "COPY app.leads FROM STDIN", path, rows)


def copy_into_unindexed(database: Database, path: Path, rows: int) -> float:
    """Return how many seconds it takes to copy a file into a table like `leads` without indexes, keys and triggers."""
    return _seconds(database, _MAKE, "COPY app.unindexed FROM STDIN", path, rows)


def _seconds(database: Database, prepare: str, copy_in: str, path: Path, rows: int) -> float:
    with connect(database.direct) as connection, path.open("rb") as file:
        connection.execute(prepare.encode())
        write_out(database)
        cursor = connection.cursor()
        started = time.perf_counter()
        with cursor.copy(copy_in.encode()) as copy:
            while piece := file.read(READ_AT_ONCE):
                copy.write(piece)
        seconds = time.perf_counter() - started
    if cursor.rowcount != rows:
        raise BenchFailed(f"COPY brought in {cursor.rowcount:,} rows of {rows:,}.")
    return seconds


def settle(database: Database) -> None:
    """Have the server do now what it would do by and by, while the next thing is measured."""
    with connect(database.direct) as connection:
        connection.execute("VACUUM (ANALYZE)")
    write_out(database)


def write_out(database: Database) -> None:
    """Have the server write to disk what it holds in memory, where it lets us, so that nobody pays for another."""
    with connect(database.direct) as connection, suppress(psycopg.errors.InsufficientPrivilege):
        connection.execute("CHECKPOINT")

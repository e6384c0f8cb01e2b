"""Baseline of imports: COPY of the imported leads by the owner."""

import time
from contextlib import suppress
from pathlib import Path

import psycopg

from benchmarks.errors import BenchmarkError
from database.roles import connect
from salesmatter.stack import Database

CHUNK_BYTES = 1024 * 1024

_EMPTY = "TRUNCATE app.leads CASCADE"
_CREATE_UNINDEXED = "DROP TABLE IF EXISTS app.unindexed; CREATE TABLE app.unindexed (LIKE app.leads INCLUDING DEFAULTS)"


def export_leads(database: Database, path: Path) -> int:
    """Write all columns of all leads to a file in table order, and return the number of leads."""
    with connect(database.direct) as connection, path.open("wb") as file:
        cursor = connection.cursor()
        with cursor.copy("COPY app.leads TO STDOUT") as copy:
            file.writelines(copy)
        return cursor.rowcount


def copy_into_leads(database: Database, path: Path, rows: int) -> float:
    """Return how many seconds it takes to copy a file into the empty `leads`, with its indexes, keys and triggers."""
    return _measure_copy(database, _EMPTY, "COPY app.leads FROM STDIN", path, rows)


def copy_into_unindexed(database: Database, path: Path, rows: int) -> float:
    """Return how many seconds it takes to copy a file into a copy of `leads` without indexes, keys and triggers."""
    return _measure_copy(database, _CREATE_UNINDEXED, "COPY app.unindexed FROM STDIN", path, rows)


def _measure_copy(database: Database, prepare: str, copy_in: str, path: Path, rows: int) -> float:
    with connect(database.direct) as connection, path.open("rb") as file:
        connection.execute(prepare.encode())
        checkpoint(database)
        cursor = connection.cursor()
        started = time.perf_counter()
        with cursor.copy(copy_in.encode()) as copy:
            while chunk := file.read(CHUNK_BYTES):
                copy.write(chunk)
        seconds = time.perf_counter() - started
    if cursor.rowcount != rows:
        raise BenchmarkError(f"COPY inserted {cursor.rowcount:,} of {rows:,} rows.")
    return seconds


def vacuum_and_checkpoint(database: Database) -> None:
    """Run VACUUM, ANALYZE and a checkpoint now, so that they do not run during the next measurement."""
    with connect(database.direct) as connection:
        connection.execute("VACUUM (ANALYZE)")
    checkpoint(database)


def checkpoint(database: Database) -> None:
    """Run a checkpoint if permitted, so that a measurement does not include the writes of an earlier one."""
    with connect(database.direct) as connection, suppress(psycopg.errors.InsufficientPrivilege):
        connection.execute("CHECKPOINT")

"""Measures landing polled provider rows, beside a COPY of the same rows into an identical table.

The rows have the format of the poller and take its path: converted, copied and inserted by key, one transaction per
batch. The baseline is one COPY of the same lines into an empty table with the same columns, keys and indexes. The two
alternate, each with an empty table, and the last landing runs again with rows that are all known. The peak memory is
that of a separate process, which generates its rows one by one.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from statistics import median
from uuid import UUID

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL

from benchmarks.bare_copy import checkpoint
from benchmarks.databases import fresh_database
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Figure
from benchmarks.progress import Progress
from benchmarks.sizes import Size
from database.roles import connect
from orchestration.defs.everlytic.batches import BATCH_ROWS, BatchWriter, Row
from orchestration.defs.everlytic.landing import CALLBACK_EVENTS, TRANSACTIONS, LandingTable
from orchestration.defs.everlytic.records import to_postgres_json
from salesmatter.stack import Database, open_database

ROWS: dict[Size, int] = {"small": 20_000, "full": 500_000}
ROUNDS: dict[Size, int] = {"small": 1, "full": 3}
SMALL_DIVISOR = 10
"""Memory is compared with that of this many times fewer rows, in the size `full`."""
MAX_RATIO_TO_COPY = 2.0
NEWEST = datetime(2026, 3, 2, 12, tzinfo=UTC)

_ADD_WORKSPACE = """
WITH account AS (INSERT INTO app.accounts (name) VALUES ('Bench') RETURNING id)
INSERT INTO app.workspaces (account_id, name, default_from_name, default_from_email, timezone)
SELECT id, 'Bench', 'Ann', 'ann@bench.example', 'UTC' FROM account RETURNING id
"""
_ADD_BARE = """
CREATE TABLE everlytic.bare (LIKE everlytic.{table} INCLUDING ALL);
ALTER TABLE everlytic.bare ADD FOREIGN KEY (workspace_id) REFERENCES app.workspaces (id) ON DELETE CASCADE
"""


@dataclass(frozen=True, slots=True)
class Times:
    """The seconds of each repetition, and of landing known rows."""

    bare: Sequence[float]
    landed: Sequence[float]
    again: float


def measure(size: Size, progress: Progress) -> Sequence[Figure]:
    """Measure on a temporary database; raises StartError and DatabaseError."""
    figures: list[Figure] = []
    rows = ROWS[size]
    with open_database() as server, fresh_database(server) as database:
        workspace = _add_workspace(database)
        for landing in (TRANSACTIONS, CALLBACK_EVENTS):
            progress(f"Landing {rows:,} rows of {landing.name}, alternating with a COPY.")
            polled = list(_make_rows(landing, workspace, rows))
            figures += _figures(landing, _measure_alternately(database, landing, polled, ROUNDS[size], progress))
        if size == "small":
            return figures
        if not Path("/proc/self/status").exists():
            progress("This system does not provide the memory of processes.")
            return figures
        progress("Landing them again in separate processes to measure their memory.")
        few, many = (_measure_peak_memory(database, workspace, number) for number in (rows // SMALL_DIVISOR, rows))
        figures.append(Figure("landing, peak memory of its process, beside a tenth of the rows", many, "MB", few))
    return figures


def _figures(landing: LandingTable, times: Times) -> Iterator[Figure]:
    baseline, name = median(times.bare), f"landing of {landing.name}"
    yield Figure(f"{name}, beside a bare COPY", median(times.landed), "s", baseline, at_most=MAX_RATIO_TO_COPY)
    yield Figure(f"{name} that are known already, beside a bare COPY", times.again, "s", baseline)


def _measure_alternately(
    database: Database, landing: LandingTable, rows: Sequence[Row], rounds: int, progress: Progress
) -> Times:
    lines = [
        landing.to_csv(landing.to_frame(rows[first : first + BATCH_ROWS])) for first in range(0, len(rows), BATCH_ROWS)
    ]
    bare, landed = [], []
    with connect(database.direct) as connection:
        connection.execute(_ADD_BARE.format(table=landing.name).encode())
        for _ in range(rounds):
            _empty(connection, "bare")
            checkpoint(database)
            bare.append(_copy(connection, landing, lines))
            _empty(connection, landing.name)
            checkpoint(database)
            landed.append(_land(database, landing, rows, new=len(rows)))
            progress(f"{bare[-1]:.2f} s copied, {landed[-1]:.2f} s landed.")
        checkpoint(database)
        again = _land(database, landing, rows, new=0)
        connection.execute("DROP TABLE everlytic.bare")
        _empty(connection, landing.name)
    return Times(bare, landed, again)


def _empty(connection: psycopg.Connection, table: str) -> None:
    connection.execute(sql.SQL("TRUNCATE everlytic.{}").format(sql.Identifier(table)))


def _copy(connection: psycopg.Connection, landing: LandingTable, lines: Sequence[str]) -> float:
    cursor = connection.cursor()
    started = time.perf_counter()
    with cursor.copy(landing.copy_statement(sql.SQL("everlytic.bare"))) as stream:
        for batch in lines:
            stream.write(batch)
    return time.perf_counter() - started


def _land(database: Database, landing: LandingTable, rows: Sequence[Row], *, new: int) -> float:
    batches = BatchWriter(partial(connect, database.direct), landing, lambda _message: None)

    async def add_rows() -> None:
        for row in rows:
            await batches.add(row)
        await batches.flush()

    started = time.perf_counter()
    asyncio.run(add_rows())
    seconds = time.perf_counter() - started
    if (batches.counts.rows, batches.counts.new_rows) != (len(rows), new):
        raise BenchmarkError(
            f"{batches.counts.rows:,} of {len(rows):,} rows landed, {batches.counts.new_rows:,} of them new."
        )
    return seconds


def _measure_peak_memory(database: Database, workspace: str, rows: int) -> float:
    """Return the peak memory in MB of a process that lands `rows` generated rows."""
    context = multiprocessing.get_context("spawn")
    parent_end, child_end = context.Pipe()
    child = context.Process(target=_load_in_child, args=(database.direct, workspace, rows, child_end))
    child.start()
    child_end.close()
    try:
        return float(parent_end.recv())
    except EOFError as error:
        raise BenchmarkError("The process that measures the memory of landing ended without a result.") from error
    finally:
        child.join()


def _load_in_child(url: URL, workspace: str, rows: int, connection: Connection) -> None:
    batches = BatchWriter(partial(connect, url), CALLBACK_EVENTS, lambda _message: None)

    async def add_rows() -> None:
        for row in _make_rows(CALLBACK_EVENTS, workspace, rows):
            await batches.add(row)
        await batches.flush()

    asyncio.run(add_rows())
    connection.send(_read_peak_memory())


def _read_peak_memory() -> float:
    """Return the peak memory of this process in MB; `ru_maxrss` would include the memory of the parent at the fork."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) * 1024 / 1e6


def _add_workspace(database: Database) -> str:
    with connect(database.direct) as connection:
        row = connection.execute(_ADD_WORKSPACE).fetchone()
    assert row is not None
    return str(row[0])


def _make_rows(landing: LandingTable, workspace: str, rows: int) -> Iterator[Row]:
    """Yield the same rows each time, newest first, in the format of the poller."""
    random = Random(1)  # noqa: S311 - ids, not secrets
    for number in range(rows):
        mail = {
            "transaction": str(UUID(int=random.getrandbits(128))),
            "message": str(UUID(int=random.getrandbits(128))),
            "group": f"sequence {number % 10}",
            "recipient": f"lead{number}@bench.example",
            "at": NEWEST - timedelta(seconds=number),
        }
        shape = _transaction if landing is TRANSACTIONS else _event
        yield {"workspace_id": workspace, **shape(mail)}


def _transaction(mail: Row) -> Row:
    raw = {
        "id": mail["transaction"],
        "send_email_from": "ann@bench.example",
        "send_email_to": mail["recipient"],
        "custom_headers": {"X-SalesMatter-Draft": [mail["message"]], "List-Unsubscribe": ["<https://s.example/u/abc>"]},
        "group_id": 360,
        "group_name": mail["group"],
        "send_status": "sent",
        "send_date": int(mail["at"].timestamp()),
        "opens": 1,
        "link_clicks": 0,
        "send_mta_status": "sent",
    }
    return {
        "transaction_id": mail["transaction"],
        "message_id": mail["message"],
        "group_name": mail["group"],
        "recipient": mail["recipient"],
        "send_status": "sent",
        "sent_at": mail["at"],
        "opens": 1,
        "link_clicks": 0,
        "bounce_type": None,
        "bounce_reason": None,
        "raw": to_postgres_json(raw),
    }


def _event(mail: Row) -> Row:
    raw = {
        "event_id": mail["transaction"],
        "event_date": int(mail["at"].timestamp()),
        "event_type": "opened",
        "email_to": mail["recipient"],
        "group_name": mail["group"],
        "custom_headers": {"X-SalesMatter-Draft": [mail["message"]]},
        "trans_id": mail["transaction"],
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64)",
    }
    return {
        "event_key": mail["transaction"].replace("-", "") + "01234567",
        "type": "open",
        "transaction_id": mail["transaction"],
        "message_id": mail["message"],
        "recipient": mail["recipient"],
        "group_name": mail["group"],
        "occurred_at": mail["at"],
        "raw": to_postgres_json(raw),
    }

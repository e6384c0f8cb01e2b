"""What it costs to land polled provider rows, beside a bare COPY of the same rows into a table of the same shape.

Rows are made as the poller hands them on, and go the poller's way: shaped, copied, inserted by key, a batch a
transaction. The baseline is one COPY of the very same lines into an empty table with the same columns, keys and
indexes. They take turns, each in an emptied table, and the last landing is repeated when all of it is known. Memory is
that of a process of its own, which makes its rows as it goes.
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

from benchmarks.bare_copy import write_out
from benchmarks.databases import fresh_database
from benchmarks.errors import BenchFailed
from benchmarks.figures import Figure
from benchmarks.registry import Say, Size
from database.roles import connect
from orchestration.defs.everlytic.batches import BATCH_ROWS, Batches, Row
from orchestration.defs.everlytic.landing import CALLBACK_EVENTS, TRANSACTIONS, Landing
from orchestration.defs.everlytic.records import as_json
from salesmatter.stack import Database, open_database

ROWS: dict[Size, int] = {"small": 20_000, "full": 500_000}
ROUNDS: dict[Size, int] = {"small": 1, "full": 3}
FEWER = 10
"""Memory is compared with what so many times fewer rows take, where there are many."""
MOST_OF_COPY = 2.0
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
    """The seconds of each turn, and of landing what is known already."""

    bare: Sequence[float]
    landed: Sequence[float]
    again: float


def measure(size: Size, say: Say) -> Sequence[Figure]:
    """Measure on a database that is made for it; raises StartError and DatabaseError."""
    figures: list[Figure] = []
    rows = ROWS[size]
    with open_database() as server, fresh_database(server) as database:
        workspace = _add_workspace(database)
        for landing in (TRANSACTIONS, CALLBACK_EVENTS):
            say(f"Landing {rows:,} rows of {landing.table}, in turns with a bare COPY.")
            polled = list(_polled(landing, workspace, rows))
            figures += _figures(landing, _take_turns(database, landing, polled, ROUNDS[size], say))
        if size == "small":
            return figures
        if not Path("/proc/self/status").exists():
            say("This system does not tell how much memory a process takes.")
            return figures
        say("Landing them again in processes of their own, for their memory.")
        few, many = (_peak_memory(database, workspace, number) for number in (rows // FEWER, rows))
        figures.append(Figure("landing, peak memory of its process, beside a tenth of the rows", many, "MB", few))
    return figures


def _figures(landing: Landing, times: Times) -> Iterator[Figure]:
    bare, what = median(times.bare), f"landing of {landing.table}"
    yield Figure(f"{what}, beside a bare COPY", median(times.landed), "s", bare, at_most=MOST_OF_COPY)
    yield Figure(f"{what} that are known already, beside a bare COPY", times.again, "s", bare)


def _take_turns(database: Database, landing: Landing, rows: Sequence[Row], rounds: int, say: Say) -> Times:
    lines = [
        landing.lines(landing.frame(rows[first : first + BATCH_ROWS])) for first in range(0, len(rows), BATCH_ROWS)
    ]
    bare, landed = [], []
    with connect(database.direct) as connection:
        connection.execute(_ADD_BARE.format(table=landing.table).encode())
        for _ in range(rounds):
            _empty(connection, "bare")
            write_out(database)
            bare.append(_copy(connection, landing, lines))
            _empty(connection, landing.table)
            write_out(database)
            landed.append(_land(database, landing, rows, new=len(rows)))
            say(f"{bare[-1]:.2f} s copied, {landed[-1]:.2f} s landed.")
        write_out(database)
        again = _land(database, landing, rows, new=0)
        connection.execute("DROP TABLE everlytic.bare")
        _empty(connection, landing.table)
    return Times(bare, landed, again)


def _empty(connection: psycopg.Connection, table: str) -> None:
    connection.execute(sql.SQL("TRUNCATE everlytic.{}").format(sql.Identifier(table)))


def _copy(connection: psycopg.Connection, landing: Landing, lines: Sequence[str]) -> float:
    cursor = connection.cursor()
    started = time.perf_counter()
    with cursor.copy(landing.copy_into(sql.SQL("everlytic.bare"))) as stream:
        for batch in lines:
            stream.write(batch)
    return time.perf_counter() - started


def _land(database: Database, landing: Landing, rows: Sequence[Row], *, new: int) -> float:
    batches = Batches(partial(connect, database.direct), landing, lambda _said: None)

    async def put() -> None:
        for row in rows:
            await batches.add(row)
        await batches.finish()

    started = time.perf_counter()
    asyncio.run(put())
    seconds = time.perf_counter() - started
    if (batches.landed.rows, batches.landed.new) != (len(rows), new):
        raise BenchFailed(f"Of {len(rows):,} rows {batches.landed.rows:,} landed, {batches.landed.new:,} of them new.")
    return seconds


def _peak_memory(database: Database, workspace: str, rows: int) -> float:
    """Return the peak memory in MB of a process that lands so many rows which nobody holds."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_land_apart, args=(database.direct, workspace, rows, theirs))
    child.start()
    theirs.close()
    try:
        return float(ours.recv())
    except EOFError as error:
        raise BenchFailed("The process that lands rows for their memory ended without a figure.") from error
    finally:
        child.join()


def _land_apart(url: URL, workspace: str, rows: int, answer: Connection) -> None:
    batches = Batches(partial(connect, url), CALLBACK_EVENTS, lambda _said: None)

    async def put() -> None:
        for row in _polled(CALLBACK_EVENTS, workspace, rows):
            await batches.add(row)
        await batches.finish()

    asyncio.run(put())
    answer.send(_peak())


def _peak() -> float:
    """Return this process's own peak in MB; `ru_maxrss` would begin with what its parent held when it was made."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) * 1024 / 1e6


def _add_workspace(database: Database) -> str:
    with connect(database.direct) as connection:
        row = connection.execute(_ADD_WORKSPACE).fetchone()
    assert row is not None
    return str(row[0])


def _polled(landing: Landing, workspace: str, rows: int) -> Iterator[Row]:
    """Yield rows as the poller hands them on, newest first, the same ones every time."""
    random = Random(1)  # noqa: S311 - ids that look like any, not secrets
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
        "raw": as_json(raw),
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
        "raw": as_json(raw),
    }

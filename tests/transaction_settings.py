"""Looks at every connection that comes back to a pool: no setting of a transaction may outlive it.

`tests/conftest.py` watches all pools of the run, so every test also proves this for the transactions it makes.
"""

import re
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from psycopg.pq import ExecStatus, TransactionStatus
from sqlalchemy import event
from sqlalchemy.pool import ConnectionPoolEntry, Pool

from tests import ROOT

FOLDERS = ("ai", "api", "database", "orchestration", "salesmatter")
SET_CONFIG = re.compile(r"set_config\(\s*'([\w.]+)'")
BEFORE = "settings before any transaction"

outlived: list[str] = []
"""The settings that outlived a transaction since the list was last emptied, each with the value it was left with."""
_watched_ports: set[str] = set()


@cache
def setting_names() -> tuple[str, ...]:
    """Return every setting that our code sets, those of our own and those of Postgres."""
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    return tuple(sorted({name for file in files for name in SET_CONFIG.findall(file.read_text(encoding="utf-8"))}))


def watch_pools(server_url: str) -> None:
    """Compare the settings of each connection to this server after each transaction with those it began with.

    Other servers are left alone: what stands before them in a test may be made to keep silent.
    """
    _watched_ports.add(str(urlsplit(server_url).port))
    if not event.contains(Pool, "checkin", _compare):
        event.listen(Pool, "connect", _remember)
        event.listen(Pool, "checkin", _compare)


def _remember(connection: Any, entry: ConnectionPoolEntry) -> None:
    entry.info[BEFORE] = read_settings(connection)


def _compare(connection: Any, entry: ConnectionPoolEntry) -> None:
    before, after = entry.info.get(BEFORE), read_settings(connection) if connection is not None else []
    if before and after:
        changed = zip(setting_names(), before, after, strict=True)
        outlived.extend(f"{name} = {value!r}" for name, first, value in changed if value != first)


def read_settings(connection: Any) -> list[str]:
    """Return the values of all settings; none for a connection of another server or driver, or one busy or dead.

    It asks without awaiting: a task that is cancelled here would leave its connection open.
    """
    wire = getattr(getattr(connection, "driver_connection", connection), "pgconn", None)
    # Dagster's own storages use psycopg2 and SQLite.
    if wire is None:
        return []
    if wire.transaction_status != TransactionStatus.IDLE or wire.port.decode() not in _watched_ports:
        return []
    result = wire.exec_(_query())
    if result.status != ExecStatus.TUPLES_OK:
        return []
    return [(result.get_value(0, column) or b"").decode() for column in range(result.nfields)]


@cache
def _query() -> bytes:
    values = ", ".join(f"coalesce(current_setting('{name}', true), '')" for name in setting_names())
    return f"SELECT {values}".encode()

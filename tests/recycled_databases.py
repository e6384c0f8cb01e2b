"""Databases that are emptied after a test and used again by the next, as long as only their rows were changed.

Making a database and starting the app on it costs more than most tests do with them. A database whose schema or
statistics a test changed, on which a session was left open, or into which much was written is not used again.
"""

import time
import uuid
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from tests.postgres import DropQueue, create_database

MOST_ROWS = 5_000
"""A database with more rows to delete is not used again: dead rows would make later tests slow."""
MOST_USES = 60
FIRST_OWN_OBJECT = 16_384
"""Objects below this id are Postgres' own."""

_TABLES = """
    SELECT format('%I.%I', nspname, relname)
    FROM pg_class INNER JOIN pg_namespace ON pg_class.relnamespace = pg_namespace.oid
    WHERE relkind IN ('r', 'p') AND NOT relispartition AND nspname NOT IN ('pg_catalog', 'information_schema')
    ORDER BY 1
"""
_CATALOGUES = {
    "pg_class": "oid",
    "pg_attribute": "attrelid",
    "pg_attrdef": "oid",
    "pg_constraint": "oid",
    "pg_index": "indexrelid",
    "pg_namespace": "oid",
    "pg_policy": "oid",
    "pg_proc": "oid",
    "pg_statistic": "starelid",
    "pg_trigger": "oid",
    "pg_type": "oid",
}
# Each change of an object writes a new version of its catalogue row, and so another xmin.
_SCHEMA = " UNION ALL ".join(
    f"SELECT count(*), coalesce(sum(xmin::text::bigint), 0) FROM {name} WHERE {key} >= {FIRST_OWN_OBJECT}"
    for name, key in _CATALOGUES.items()
)
_OPEN_SESSIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
        AND (state IS DISTINCT FROM 'idle' OR application_name <> ALL (%s))
"""


@dataclass(frozen=True, slots=True)
class _Template:
    """What a fresh database has: its tables, the rows of those that are not empty, and the state of its schema."""

    tables: tuple[str, ...]
    rows: dict[str, bytes]
    schema: list[tuple[int, int]]

    @classmethod
    def read(cls, owner: psycopg.Connection) -> "_Template":
        tables = tuple(name for (name,) in owner.execute(_TABLES).fetchall())
        copied = {table: _copy_out(owner, table) for table in tables}
        return cls(tables, {table: rows for table, rows in copied.items() if rows}, owner.execute(_SCHEMA).fetchall())


@dataclass(slots=True)
class RecycledDatabases:
    """The databases of one worker, copies of one template; one at a time is lent to a test."""

    server_url: str
    template_name: str
    drops: DropQueue
    app_sessions: list[str]
    """The names of sessions that may stay open between tests, when they are idle."""
    seconds_to_close: float = 0.5
    """How long a session that its test has closed may take to be gone."""
    _template: _Template | None = None
    _uses: dict[str, int] = field(default_factory=dict)
    _owners: dict[str, psycopg.Connection] = field(default_factory=dict)
    _free: list[str] = field(default_factory=list)
    _discarded: list[str] = field(default_factory=list)

    def lend(self) -> str:
        """Return the URL of a database with the template's rows and no others."""
        if self._free:
            return self._free.pop()
        url = create_database(self.server_url, f"test_{uuid.uuid4().hex}", template=self.template_name)
        self._uses[url] = 0
        self._owners[url] = psycopg.connect(url, autocommit=True, application_name="salesmatter-tests")
        if self._template is None:
            self._template = _Template.read(self._owners[url])
        return url

    def take_back(self, url: str) -> None:
        """Empty a database for the next test, or discard it when it cannot be used again."""
        self._uses[url] += 1
        if self._uses[url] < MOST_USES and self._is_emptied(url):
            self._free.append(url)
        else:
            self._discarded.append(url)

    def is_used(self, url: str) -> bool:
        """Return whether this is one of these databases, and not discarded."""
        return url in self._uses and url not in self._discarded

    def drop_discarded(self) -> None:
        """Have the databases dropped that are not used again; an app that is open on one must be closed before."""
        while self._discarded:
            url = self._discarded.pop()
            self._owners.pop(url).close()
            self.drops.add(url.rpartition("/")[2])
            del self._uses[url]

    def drop_all(self) -> None:
        """Drop every database, lent or free."""
        self._discarded, self._free = list(self._uses), []
        self.drop_discarded()

    def _is_emptied(self, url: str) -> bool:
        assert self._template is not None
        owner = self._owners[url]
        try:
            return (
                self._are_sessions_closed(owner)
                and owner.execute(_SCHEMA).fetchall() == self._template.schema
                and _restore_rows(owner, self._template)
            )
        except psycopg.OperationalError:
            # The test dropped the database, ended its sessions, or left a lock.
            return False

    def _are_sessions_closed(self, owner: psycopg.Connection) -> bool:
        deadline = time.monotonic() + self.seconds_to_close
        while owner.execute(_OPEN_SESSIONS, (self.app_sessions,)).fetchone() != (0,):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True


def _restore_rows(owner: psycopg.Connection, template: _Template) -> bool:
    """Delete what the test inserted, triggers and foreign keys aside; returns False when it was much."""
    owner.execute("SET lock_timeout = '1s'; SET session_replication_role = replica")
    statements = sql.SQL("; ").join(sql.SQL("DELETE FROM {}").format(sql.SQL(table)) for table in template.tables)
    with owner.transaction(), owner.cursor() as cursor:
        cursor.execute(statements)
        deleted = cursor.rowcount
        while cursor.nextset():
            deleted += cursor.rowcount
        for table, rows in template.rows.items():
            with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.SQL(table))) as copy:
                copy.write(rows)
    return deleted <= MOST_ROWS


def _copy_out(owner: psycopg.Connection, table: str) -> bytes:
    with owner.cursor() as cursor, cursor.copy(sql.SQL("COPY {} TO STDOUT").format(sql.SQL(table))) as copy:
        return b"".join(bytes(block) for block in copy)

"""Compares whole tables before and after an act, so that a test sees each row that the act was not meant to change.

    with unchanged(database_url, except_rows={"app.leads": [lead_id]}, except_tables=BOOKKEEPING):
        await act()

or, where the change itself is to be checked,

    before = snapshot(database_url)
    await act()
    assert changes(before, snapshot(database_url), except_tables=BOOKKEEPING) == {
        "app.leads": {str(lead_id): {"status": ("New", "Contacted"), "updated_at": ANY}}
    }

`ANY` is that of `unittest.mock`. A snapshot sees what has been committed. Values are those of `to_jsonb`: times, dates
and ids are text. A row's key is its primary key as text, the parts of one of several columns with a space between.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg import sql

Snapshot = dict[str, dict[str, dict[str, Any]]]
"""Rows by their keys, by the names of their tables."""
Changes = dict[str, dict[str, dict[str, tuple[Any, Any]]]]
"""Columns that differ, (before, after), by the keys of their rows, by the names of their tables."""


class Absent(Enum):
    """What stands for each value of a row that is not there."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return self.name


ABSENT: Final = Absent.ABSENT

BOOKKEEPING = frozenset({"app.changes"})
"""What is written beside each change: the change log of live queries."""

_TABLES = """
    SELECT namespace.nspname, class.relname,
           ARRAY(SELECT attribute.attname
                   FROM pg_index AS index
                   CROSS JOIN unnest(index.indkey) WITH ORDINALITY AS part (number, place)
                   JOIN pg_attribute AS attribute
                     ON attribute.attrelid = class.oid AND attribute.attnum = part.number
                  WHERE index.indrelid = class.oid AND index.indisprimary
                  ORDER BY part.place)
      FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
     WHERE namespace.nspname IN ('app', 'everlytic') AND class.relkind IN ('r', 'p') AND NOT class.relispartition
     ORDER BY 1, 2
"""


def snapshot(url: str) -> Snapshot:
    """Return every committed row of the schemas app and everlytic; `url` is the owner's, without row-level security."""
    with psycopg.connect(url) as connection:
        return read_rows(connection)


def read_rows(connection: psycopg.Connection) -> Snapshot:
    """Return every row as a connection of the owner sees it: with what its own transaction has changed."""
    tables = connection.execute(_TABLES).fetchall()
    rows = connection.execute(sql.SQL(" UNION ALL ").join(_rows_of(*table) for table in tables)).fetchall()
    found: Snapshot = {f"{schema}.{name}": {} for schema, name, _ in tables}
    for table, key, row in rows:
        found[table][key] = row
    return found


def changes(before: Snapshot, after: Snapshot, *, except_tables: Collection[str] = ()) -> Changes:
    """Return exactly what differs: of a row that came or went, all columns, with ABSENT on the side without it."""
    differing = {
        table: {
            key: columns
            for key in rows.keys() | after[table].keys()
            if (columns := _differing(rows.get(key), after[table].get(key)))
        }
        for table, rows in before.items()
        if table not in except_tables
    }
    return {table: rows for table, rows in differing.items() if rows}


@contextmanager
def unchanged(
    url: str,
    *,
    except_rows: Mapping[str, Collection[str | UUID]] | None = None,
    except_tables: Collection[str] = BOOKKEEPING,
) -> Iterator[None]:
    """Fail when the block changes, adds or deletes any row but the excepted: `{"app.leads": [lead_id]}`."""
    before = snapshot(url)
    yield
    left = changes(before, snapshot(url), except_tables=except_tables)
    for table, keys in (except_rows or {}).items():
        for key in keys:
            left.get(table, {}).pop(str(key), None)
    differing = {table: rows for table, rows in left.items() if rows}
    assert differing == {}, differing


def _rows_of(schema: str, table: str, key: list[str]) -> sql.Composed:
    columns = sql.SQL(", ").join(sql.SQL("kept.{}").format(sql.Identifier(name)) for name in key)
    return sql.SQL("SELECT {}, concat_ws(' ', {}), to_jsonb(kept) FROM {} AS kept").format(
        sql.Literal(f"{schema}.{table}"), columns, sql.Identifier(schema, table)
    )


def _differing(before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, tuple[Any, Any]]:
    old, new = before or {}, after or {}
    values = {name: (old.get(name, ABSENT), new.get(name, ABSENT)) for name in {**old, **new}}
    return {name: (was, is_now) for name, (was, is_now) in values.items() if was != is_now}

"""Invents one row of every table for a workspace, from the models alone, so that a new table is covered by itself."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import sqlalchemy as sa
from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy.dialects.postgresql import JSONB

import database.models  # noqa: F401 - registers every table on the metadata
from database.base import Base
from database.models import Account, Change, Workspace

# Those that name their workspace without a foreign key come last: SQLAlchemy does not know that they stand on it.
TABLES = sorted(
    Base.metadata.sorted_tables, key=lambda table: "workspace_id" in table.c and not table.foreign_key_constraints
)
ACCOUNTS, WORKSPACES, CHANGES = (str(model.__table__) for model in (Account, Workspace, Change))
NOW = datetime(2026, 3, 4, 10, tzinfo=UTC)
NOBODY = UUID(int=0)
"""Where an id is kept of somebody who may be gone by now."""

Ids = dict[str, UUID]
"""The ids of a workspace's rows, by table."""


def named(table: sa.Table) -> sql.Identifier:
    """Return the table's quoted name."""
    assert table.schema is not None
    return sql.Identifier(table.schema, table.name)


def fill_every_table(owner: psycopg.Connection, label: str) -> Ids:
    """Insert one row of every table for a new account and workspace; returns their ids."""
    ids: Ids = {}
    for table in TABLES:
        if str(table) == CHANGES:
            continue  # the triggers fill it
        insert(owner, table, row_for(table, ids, label), ids)
    return ids


def insert(connection: psycopg.Connection, table: sa.Table, row: dict[str, Any], ids: Ids) -> None:
    """Insert a row and note its id."""
    returned = sql.SQL(" RETURNING id") if "id" in table.c and isinstance(table.c.id.type, sa.UUID) else sql.SQL("")
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        named(table), sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(sql.Placeholder() * len(row))
    )
    cursor = connection.execute(statement + returned if row else _default_row(table, returned), list(row.values()))
    if cursor.description:
        (ids[str(table)],) = cursor.fetchone() or (None,)


def _default_row(table: sa.Table, returned: sql.SQL) -> sql.Composed:
    return sql.SQL("INSERT INTO {} DEFAULT VALUES").format(named(table)) + returned


def row_for(table: sa.Table, ids: Ids, label: str) -> dict[str, Any]:
    """Return values for the columns of `table` that must be given, and for those that say whose the row is."""
    wanted = [one for one in table.c if _must_be_given(one) or one.name in {"workspace_id", "account_id"}]
    return {one.name: _value(table, one, ids, label) for one in wanted}


def _must_be_given(column: sa.Column[Any]) -> bool:
    return not column.nullable and column.server_default is None and column.identity is None


def _value(table: sa.Table, column: sa.Column[Any], ids: Ids, label: str) -> Any:
    for key in column.foreign_keys:
        return ids[str(key.column.table)]
    if column.name == "workspace_id":
        return ids[WORKSPACES]
    if allowed := _allowed(table, column):
        return allowed[0]
    kind = type(column.type)
    values: dict[type, Any] = {
        sa.Text: f"{column.name} of {label}",
        sa.UUID: NOBODY,
        sa.Boolean: False,
        sa.Integer: 1,
        sa.DateTime: NOW,
        sa.Date: date(2026, 3, 4),
        sa.Interval: timedelta(seconds=1),
        sa.LargeBinary: b"{}",
        JSONB: Jsonb({}),
    }
    assert kind in values, f"say in {__name__} what a {kind.__name__} such as {table}.{column.name} may hold"
    return values[kind]


def _allowed(table: sa.Table, column: sa.Column[Any]) -> list[str]:
    """Return the values that a check of the form `column IN ('a', 'b')` allows."""
    for constraint in table.constraints:
        if isinstance(constraint, sa.CheckConstraint):
            found = re.fullmatch(rf"{column.name} IN \((.*)\)", str(constraint.sqltext))
            if found:
                return re.findall(r"'([^']*)'", found[1])
    return []

"""Inserts one row into every table for a workspace; the values derive from the models, so new tables need no code."""

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

# Tables with a workspace_id and no foreign key come last, because SQLAlchemy does not know their dependency.
TABLES = sorted(
    Base.metadata.sorted_tables, key=lambda table: "workspace_id" in table.c and not table.foreign_key_constraints
)
ACCOUNTS, WORKSPACES, CHANGES = (str(model.__table__) for model in (Account, Workspace, Change))
NOW = datetime(2026, 3, 4, 10, tzinfo=UTC)
DELETED_ID = UUID(int=0)
"""The value of an id column without a foreign key, such as that of a deleted user."""

Ids = dict[str, UUID]
"""The ids of a workspace's rows by table."""


def quote_table_name(table: sa.Table) -> sql.Identifier:
    """Return the table's quoted name."""
    assert table.schema is not None
    return sql.Identifier(table.schema, table.name)


def fill_every_table(owner: psycopg.Connection, label: str) -> Ids:
    """Insert one row into every table for a new account and workspace, and return their ids."""
    ids: Ids = {}
    for table in TABLES:
        if str(table) == CHANGES:
            continue  # triggers insert its rows
        insert(owner, table, row_for(table, ids, label), ids)
    return ids


def insert(connection: psycopg.Connection, table: sa.Table, row: dict[str, Any], ids: Ids) -> None:
    """Insert a row and store its id in `ids`."""
    returned = sql.SQL(" RETURNING id") if "id" in table.c and isinstance(table.c.id.type, sa.UUID) else sql.SQL("")
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        quote_table_name(table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
    )
    cursor = connection.execute(statement + returned if row else _default_row(table, returned), list(row.values()))
    if cursor.description:
        (ids[str(table)],) = cursor.fetchone() or (None,)


def _default_row(table: sa.Table, returned: sql.SQL) -> sql.Composed:
    return sql.SQL("INSERT INTO {} DEFAULT VALUES").format(quote_table_name(table)) + returned


def row_for(table: sa.Table, ids: Ids, label: str) -> dict[str, Any]:
    """Return values for the required columns of `table` and for its tenant columns."""
    columns = [column for column in table.c if _is_required(column) or column.name in {"workspace_id", "account_id"}]
    return {column.name: _value(table, column, ids, label) for column in columns}


def _is_required(column: sa.Column[Any]) -> bool:
    return not column.nullable and column.server_default is None and column.identity is None


def _value(table: sa.Table, column: sa.Column[Any], ids: Ids, label: str) -> Any:
    for key in column.foreign_keys:
        return ids[str(key.column.table)]
    if column.name == "workspace_id":
        return ids[WORKSPACES]
    if allowed_values := _allowed_values(table, column):
        return allowed_values[0]
    kind = type(column.type)
    values: dict[type, Any] = {
        sa.Text: f"{column.name} of {label}",
        sa.UUID: DELETED_ID,
        sa.Boolean: False,
        sa.Integer: 1,
        sa.DateTime: NOW,
        sa.Date: date(2026, 3, 4),
        sa.Interval: timedelta(seconds=1),
        sa.LargeBinary: b"{}",
        JSONB: Jsonb({}),
    }
    assert kind in values, f"add a value for {kind.__name__} columns such as {table}.{column.name} to {__name__}"
    return values[kind]


def _allowed_values(table: sa.Table, column: sa.Column[Any]) -> list[str]:
    """Return the values that a check of the form `column IN ('a', 'b')` allows."""
    for constraint in table.constraints:
        if isinstance(constraint, sa.CheckConstraint):
            match = re.fullmatch(rf"{column.name} IN \((.*)\)", str(constraint.sqltext))
            if match:
                return re.findall(r"'([^']*)'", match[1])
    return []

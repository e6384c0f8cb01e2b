"""Writes polled rows to schema everlytic: one COPY per batch, then one INSERT that overwrites by provider key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import psycopg
from psycopg import sql

UTC_TIME = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class LandingTable:
    """A table of schema everlytic: its polled columns, its key, and the column whose days the chart shows."""

    name: str
    columns: Mapping[str, pl.DataType | type[pl.DataType]]
    key: tuple[str, ...]
    date_column: str
    is_immutable: bool = False
    """True if the provider never changes a record; existing rows are then left as they are."""

    def to_frame(self, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
        """Return one row per key, the last one; a list that grows while it is read contains some rows twice."""
        # Building the frame by column is twice as fast as from_dicts.
        frame = pl.DataFrame({name: [row.get(name) for row in rows] for name in self.columns}, dict(self.columns))
        return frame.unique(subset=list(self.key), keep="last", maintain_order=True)

    def to_csv(self, frame: pl.DataFrame) -> str:
        r"""Return the frame as CSV for `copy_statement`; all text is quoted, so the text \N is not read as null."""
        return frame.write_csv(include_header=False, null_value=r"\N", quote_style="non_numeric")

    def copy_statement(self, table: sql.Composable) -> sql.Composed:
        """Return the COPY of that CSV into a table with the same columns."""
        return sql.SQL(r"COPY {} ({}) FROM STDIN (FORMAT csv, NULL '\N')").format(table, self.column_list)

    @property
    def column_list(self) -> sql.Composed:
        """The columns, separated by commas."""
        return sql.SQL(", ").join(map(sql.Identifier, self.columns))


TRANSACTIONS = LandingTable(
    "transactions",
    {
        "workspace_id": pl.String,
        "transaction_id": pl.String,
        "message_id": pl.String,
        "group_name": pl.String,
        "recipient": pl.String,
        "send_status": pl.String,
        "sent_at": UTC_TIME,
        "opens": pl.Int64,
        "link_clicks": pl.Int64,
        "bounce_type": pl.String,
        "bounce_reason": pl.String,
        "raw": pl.String,
    },
    key=("workspace_id", "transaction_id"),
    date_column="sent_at",
)
CALLBACK_EVENTS = LandingTable(
    "callback_events",
    {
        "workspace_id": pl.String,
        "event_key": pl.String,
        "type": pl.String,
        "transaction_id": pl.String,
        "message_id": pl.String,
        "recipient": pl.String,
        "group_name": pl.String,
        "occurred_at": UTC_TIME,
        "raw": pl.String,
        "bounce_kind": pl.String,
    },
    key=("workspace_id", "event_key"),
    date_column="occurred_at",
    is_immutable=True,
)
CAMPAIGN_REPORTS = LandingTable(
    "campaign_reports",
    {
        "workspace_id": pl.String,
        "email_id": pl.String,
        "reported_on": pl.Date,
        "name": pl.String,
        "raw": pl.String,
    },
    key=("workspace_id", "email_id", "reported_on"),
    date_column="reported_on",
)

_UPSERT_CURSOR = """
    INSERT INTO everlytic.sync_cursors AS c (workspace_id, resource, synced_through, row_count, error, synced_at)
    VALUES (%(workspace_id)s, %(resource)s, %(synced_through)s, %(row_count)s, %(error)s, now())
    ON CONFLICT (workspace_id, resource) DO UPDATE SET
        synced_through = greatest(c.synced_through, excluded.synced_through),
        row_count = CASE WHEN excluded.error IS NULL THEN excluded.row_count ELSE c.row_count END,
        error = excluded.error,
        synced_at = excluded.synced_at
"""


def land_frame(connection: psycopg.Connection, table: LandingTable, frame: pl.DataFrame) -> dict[str, tuple[int, int]]:
    """Write the frame in the connection's transaction; returns (new, changed) row counts by workspace id."""
    connection.execute(
        sql.SQL(
            "CREATE TEMP TABLE landing ON COMMIT DROP AS SELECT {names} FROM everlytic.{table} WITH NO DATA"
        ).format(names=table.column_list, table=sql.Identifier(table.name))
    )
    with connection.cursor().copy(table.copy_statement(sql.Identifier("landing"))) as stream:
        stream.write(table.to_csv(frame))
    counts = connection.execute(_upsert_statement(table)).fetchall()
    return {str(workspace_id): (new, changed) for workspace_id, new, changed in counts}


def record_cursors(connection: psycopg.Connection, cursors: Sequence[Mapping[str, Any]]) -> None:
    """Record how far each tenant's resource has been polled, or the error that stopped it."""
    connection.cursor().executemany(_UPSERT_CURSOR, cursors)


def _upsert_statement(table: LandingTable) -> sql.Composed:
    value_columns = [name for name in table.columns if name not in table.key]
    # An erasure empties a lead's rows (raw = '{}'). They must stay empty when the same days are polled again.
    update = sql.SQL(
        "DO UPDATE SET {assignments}, synced_at = now() "
        "WHERE ({old}) IS DISTINCT FROM ({new}) AND existing.raw <> '{{}}'"
    ).format(
        assignments=sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in value_columns
        ),
        old=sql.SQL(", ").join(sql.SQL("existing.{}").format(sql.Identifier(name)) for name in value_columns),
        new=sql.SQL(", ").join(sql.SQL("excluded.{}").format(sql.Identifier(name)) for name in value_columns),
    )
    # Insert in key order: two concurrent runs then lock rows in the same order and cannot deadlock, and neighbouring
    # index entries are written together.
    return sql.SQL(
        """
        WITH landed AS (
            INSERT INTO everlytic.{table} AS existing ({names}) SELECT {names} FROM landing ORDER BY {key}
            ON CONFLICT ({key}) {action}
            RETURNING existing.workspace_id, existing.xmax = 0 AS is_new
        )
        SELECT workspace_id, count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new)
        FROM landed GROUP BY workspace_id
        """
    ).format(
        table=sql.Identifier(table.name),
        names=table.column_list,
        key=sql.SQL(", ").join(map(sql.Identifier, table.key)),
        action=sql.SQL("DO NOTHING") if table.is_immutable else update,
    )

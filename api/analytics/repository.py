"""The SQL of the figures: rows of the marts that dbt builds, selected and filtered, nothing counted or divided here."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import psycopg
from pydantic.alias_generators import to_snake
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession

from api.analytics.schemas import CampaignFilter
from database.direct import Record, fetch
from database.landing import copy_select

DELIVERED = ("sent", "delivered", "bounced", "hard_bounced", "soft_bounced")
READ = ("opened", "human_opened", "machine_opened", "clicked", "human_clicked", "machine_clicked", "replied")
REPEATED = ("opens", "human_opens", "machine_opens", "clicks", "human_clicks", "machine_clicks")
LEFT = ("unsubscribed", "complained")
DELIVERY_RATES = ("delivery_rate", "bounce_rate")
READ_RATES = ("open_rate", "human_open_rate", "click_rate", "human_click_rate", "click_to_open_rate", "reply_rate")
LEAVING_RATES = ("unsubscribe_rate",)

COUNTS = (*DELIVERED, *READ, *REPEATED, *LEFT)
RATES = (*DELIVERY_RATES, *READ_RATES, *LEAVING_RATES)
DAILY = (*DELIVERED, *READ, *LEFT)
MOMENTS = ("created_at", "first_sent_at", "last_sent_at", "last_activity_at", "as_of")


class MartMissing(Exception):
    """dbt has not built the marts of this database yet, or not since what they show has changed."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows of the marts: the statement that finds them, its parameters, and the names of its columns."""

    statement: str
    parameters: Mapping[str, Any]
    columns: Sequence[str]


def _listed(names: Sequence[str], source: str = "") -> str:
    return ", ".join(f"{source}.{name}" if source else name for name in names)


CAMPAIGN_COLUMNS = ("campaign_id", "kind", "sequence_id", "name", "status", *COUNTS, *RATES, *MOMENTS)
_CAMPAIGNS = f"""
    SELECT {_listed(CAMPAIGN_COLUMNS)} FROM analytics.campaigns WHERE workspace_id = %(workspace_id)s
"""  # noqa: S608 - constant text
_FILTERS = {
    "kind": "kind = %(kind)s",
    "status": "status = %(status)s",
    "q": "strpos(lower(name), lower(%(q)s)) > 0",
}
_SORT_KEYS = {
    "created_at": ("coalesce(created_at, '-infinity')", "timestamptz"),
    "last_sent_at": ("coalesce(last_sent_at, '-infinity')", "timestamptz"),
    "name": ("name", "text"),
}
"""What a list is sorted by before the id: an expression that is never null, and its type."""

STEP_COLUMNS = ("step_id", "step_order", *COUNTS, *RATES)
# The three marts of a campaign's steps have one grain, each with figures of its own; the one step of a bulk email has
# no id.
_STEPS = f"""
    SELECT step_id, step_order,
           {_listed(DELIVERED, "delivery")}, {_listed(READ, "engagement")}, {_listed(REPEATED, "engagement")},
           {_listed(LEFT, "leaving")}, {_listed(DELIVERY_RATES, "delivery")}, {_listed(READ_RATES, "engagement")},
           {_listed(LEAVING_RATES, "leaving")}
      FROM (SELECT * FROM analytics.delivery_stats
             WHERE workspace_id = %(workspace_id)s AND campaign_id = %(campaign_id)s) AS delivery
      JOIN (SELECT step_id AS read_step_id, {_listed((*READ, *REPEATED, *READ_RATES))} FROM analytics.engagement_stats
             WHERE workspace_id = %(workspace_id)s AND campaign_id = %(campaign_id)s) AS engagement
        ON read_step_id IS NOT DISTINCT FROM step_id
      JOIN (SELECT step_id AS left_step_id, {_listed((*LEFT, *LEAVING_RATES))} FROM analytics.unsubscribe_stats
             WHERE workspace_id = %(workspace_id)s AND campaign_id = %(campaign_id)s) AS leaving
        ON left_step_id IS NOT DISTINCT FROM step_id
     ORDER BY step_order
"""  # noqa: S608 - constant text

DAY_COLUMNS = ("date", *DAILY, "as_of")
_ZEROS = ", ".join(f"coalesce({name}, 0) AS {name}" for name in DAILY if name != "complained")


def _days(mart: str, whose: str, dated: str) -> str:
    """Return the statement for the days of a mart, which are as fresh as the newest row of `dated`."""
    return f"""
    SELECT asked.date, {_ZEROS}, complained, (SELECT max(as_of) FROM analytics.{dated} WHERE {whose}) AS as_of
      FROM (SELECT %(start)s::date + number AS date FROM generate_series(0, %(days)s::integer) AS number) AS asked
      LEFT JOIN (SELECT day, {_listed(DAILY)} FROM analytics.{mart} WHERE {whose}) AS counted ON day = asked.date
     ORDER BY asked.date
    """  # noqa: S608 - constant text


_WORKSPACE_DAYS = _days("timeline_events", "workspace_id = %(workspace_id)s", "timeline_events")
_CAMPAIGN_DAYS = _days(
    "campaign_days", "workspace_id = %(workspace_id)s AND campaign_id = %(campaign_id)s", "campaigns"
)

TOTAL_COLUMNS = ("start", "end", *COUNTS, *RATES, "as_of")
_TOTALS = f"""
    SELECT asked.starts_on AS start, asked.ends_on AS "end", {_listed((*COUNTS, *RATES, "as_of"), "totals")}
      FROM unnest(%(starts)s::date[], %(ends)s::date[]) WITH ORDINALITY AS asked (starts_on, ends_on, number)
     CROSS JOIN LATERAL analytics.workspace_totals(asked.starts_on, asked.ends_on) AS totals
     ORDER BY asked.number
"""  # noqa: S608 - constant text

_TEXTS = {"name", "status", "campaign_id"}
_TIMES = set(MOMENTS)


def campaigns(
    workspace_id: UUID,
    wanted: CampaignFilter,
    sort: str,
    *,
    after: Sequence[str] | None = None,
    limit: int | None = None,
) -> Slice:
    """Return the workspace's campaigns in the order `sort`, at most `limit`, those that follow `after` if given."""
    asked = {name: value for name in _FILTERS if (value := getattr(wanted, name)) not in {None, ""}}
    parameters: dict[str, Any] = {"workspace_id": workspace_id, **asked}
    conditions = [_FILTERS[name] for name in asked]
    key, kind = _SORT_KEYS[sort_column(sort)]
    direction, sign = ("DESC", "<") if sort.startswith("-") else ("ASC", ">")
    if after is not None:
        parameters["after"], parameters["after_id"] = after
        conditions.append(f"({key}, campaign_id) {sign} (%(after)s::{kind}, %(after_id)s)")
    statement = " AND ".join([_CAMPAIGNS, *conditions]) + f" ORDER BY {key} {direction}, campaign_id {direction}"
    if limit is not None:
        parameters["limit"] = limit
        statement += " LIMIT %(limit)s"
    return Slice(statement, parameters, CAMPAIGN_COLUMNS)


def sort_column(sort: str) -> str:
    """Return the column by which campaigns in the order `sort` are sorted before their ids."""
    return to_snake(sort.removeprefix("-"))


def campaign(workspace_id: UUID, campaign_id: str) -> Slice:
    """Return one campaign of the workspace."""
    parameters = {"workspace_id": workspace_id, "campaign_id": campaign_id}
    return Slice(f"{_CAMPAIGNS} AND campaign_id = %(campaign_id)s", parameters, CAMPAIGN_COLUMNS)


def steps(workspace_id: UUID, campaign_id: str) -> Slice:
    """Return a campaign's figures step by step, in the order of the steps."""
    return Slice(_STEPS, {"workspace_id": workspace_id, "campaign_id": campaign_id}, STEP_COLUMNS)


def days(workspace_id: UUID, start: date, end: date, *, campaign_id: str | None = None) -> Slice:
    """Return one row for each local day from `start` to `end`, of all messages or those of one sequence.

    Where nothing happened, the counts are 0.
    """
    parameters = {"workspace_id": workspace_id, "start": start, "days": (end - start).days}
    if campaign_id is None:
        return Slice(_WORKSPACE_DAYS, parameters, DAY_COLUMNS)
    return Slice(_CAMPAIGN_DAYS, {**parameters, "campaign_id": campaign_id}, DAY_COLUMNS)


def totals(periods: Sequence[tuple[date | None, date | None]]) -> Slice:
    """Return the totals and rates, as dbt defines them, of the current workspace's messages sent in each period."""
    starts, ends = [start for start, _ in periods], [end for _, end in periods]
    return Slice(_TOTALS, {"starts": starts, "ends": ends}, TOTAL_COLUMNS)


async def rows_of(session: AsyncSession, wanted: Slice) -> list[Record]:
    """Return the rows of a slice; raises MartMissing."""
    with _marts():
        return await fetch(session, wanted.statement, wanted.parameters)


async def lines_of(session: AsyncSession, wanted: Slice) -> AsyncIterator[bytes]:
    """Yield the rows of a slice as lines of CSV, each ended by CR and LF; raises MartMissing.

    Times are UTC, rates plain decimals. What a spreadsheet would take for a formula gets an apostrophe before it.
    """
    written = ", ".join(_written(name) for name in wanted.columns)
    statement = f"SELECT {written} FROM ({wanted.statement}) AS slice"  # noqa: S608 - constant text
    with _marts():
        # Postgres sends one row at a time, ended by LF alone.
        async for line in copy_select(session, statement, dict(wanted.parameters)):
            yield line[:-1] + b"\r\n"


def _written(name: str) -> str:
    if name in _TIMES:
        return f"""to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    if name in _TEXTS:
        return rf"CASE WHEN {name} ~ '^[=+\-@\t\r'']' THEN '''' || {name} ELSE {name} END"
    return f'"{name}"'


@contextmanager
def _marts() -> Iterator[None]:
    """Raise MartMissing where the database says that there is no such table, column or function."""
    missing = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedColumn)
    try:
        yield
    except missing as error:
        raise MartMissing from error
    except ProgrammingError as error:
        if isinstance(error.orig, missing):
            raise MartMissing from error
        raise

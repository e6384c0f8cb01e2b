"""SQL of analytics: it selects and filters rows of the marts. All counts and rates are computed by dbt."""

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
MEASURED = ("opens_measured", "clicks_measured")
ENGAGED = ("opened", "human_opened", "machine_opened", "clicked", "human_clicked", "machine_clicked", "replied")
CLICKED_WITH_OPENS = "clicked_with_opens_measured"
REPEATED = ("opens", "human_opens", "machine_opens", "clicks", "human_clicks", "machine_clicks")
UNSUBSCRIBED = ("unsubscribed", "complained")
DELIVERY_RATES = ("delivery_rate", "bounce_rate")
ENGAGEMENT_RATES = (
    "open_rate",
    "human_open_rate",
    "click_rate",
    "human_click_rate",
    "click_to_open_rate",
    "reply_rate",
)
UNSUBSCRIBE_RATES = ("unsubscribe_rate",)

COUNTS = (*DELIVERED, *MEASURED, CLICKED_WITH_OPENS, *ENGAGED, *REPEATED, *UNSUBSCRIBED)
RATES = (*DELIVERY_RATES, *ENGAGEMENT_RATES, *UNSUBSCRIBE_RATES)
DAILY = (*DELIVERED, *MEASURED, *ENGAGED, *UNSUBSCRIBED)
TIMESTAMPS = ("created_at", "first_sent_at", "last_sent_at", "last_activity_at", "as_of")


class MartMissing(Exception):
    """A mart, or a column of it, does not exist: dbt has not built it on this database yet."""


@dataclass(frozen=True, slots=True)
class MartQuery:
    """A query on the marts: its statement, parameters and column names."""

    statement: str
    parameters: Mapping[str, Any]
    columns: Sequence[str]


def _columns(names: Sequence[str], source: str = "") -> str:
    return ", ".join(f"{source}.{name}" if source else name for name in names)


CAMPAIGN_COLUMNS = ("campaign_id", "kind", "sequence_id", "name", "status", *COUNTS, *RATES, *TIMESTAMPS)
_SELECT_CAMPAIGNS = f"""
    SELECT {_columns(CAMPAIGN_COLUMNS)} FROM analytics.campaigns WHERE workspace_id = %(workspace_id)s
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
"""The first sort key of a list, before the id: an expression that is never null, and its type."""

_ENGAGEMENT = (*MEASURED, CLICKED_WITH_OPENS, *ENGAGED, *REPEATED)
STEP_COLUMNS = ("step_id", "step_order", *COUNTS, *RATES)
# The three marts have one row per step, each with other figures. The single step of a bulk email has no id.
_STEPS = f"""
    SELECT step_id, step_order,
           {_columns(DELIVERED, "delivery")}, {_columns(_ENGAGEMENT, "engagement")},
           {_columns(UNSUBSCRIBED, "unsubscribes")},
           {_columns(DELIVERY_RATES, "delivery")}, {_columns(ENGAGEMENT_RATES, "engagement")},
           {_columns(UNSUBSCRIBE_RATES, "unsubscribes")}
      FROM (SELECT * FROM analytics.delivery_stats
             WHERE workspace_id = %(workspace_id)s AND campaign_id = %(campaign_id)s) AS delivery
      JOIN (SELECT step_id AS engagement_step_id, {_columns((*_ENGAGEMENT, *ENGAGEMENT_RATES))}
              FROM analytics.engagement_stats
             WHERE workspace_id = %(workspace_id)s AND campaign_id = %(campaign_id)s) AS engagement
        ON engagement_step_id IS NOT DISTINCT FROM step_id
      JOIN (SELECT step_id AS unsubscribe_step_id, {_columns((*UNSUBSCRIBED, *UNSUBSCRIBE_RATES))}
              FROM analytics.unsubscribe_stats
             WHERE workspace_id = %(workspace_id)s AND campaign_id = %(campaign_id)s) AS unsubscribes
        ON unsubscribe_step_id IS NOT DISTINCT FROM step_id
     ORDER BY step_order
"""  # noqa: S608 - constant text

DAY_COLUMNS = ("date", *DAILY, "as_of")
_ZEROS = ", ".join(f"coalesce({name}, 0) AS {name}" for name in DAILY if name != "complained")


def _days(mart: str, condition: str, dated: str) -> str:
    """Return the statement for the days of a mart; `as_of` is that of the newest row of `dated`."""
    return f"""
    SELECT calendar.date, {_ZEROS}, complained, (SELECT max(as_of) FROM analytics.{dated} WHERE {condition}) AS as_of
      FROM (SELECT %(start)s::date + number AS date FROM generate_series(0, %(days)s::integer) AS number) AS calendar
      LEFT JOIN (SELECT day, {_columns(DAILY)} FROM analytics.{mart} WHERE {condition}) AS figures
        ON day = calendar.date
     ORDER BY calendar.date
    """  # noqa: S608 - constant text


_WORKSPACE_DAYS = _days("timeline_events", "workspace_id = %(workspace_id)s", "timeline_events")
_CAMPAIGN_DAYS = _days(
    "campaign_days", "workspace_id = %(workspace_id)s AND campaign_id = %(campaign_id)s", "campaigns"
)

TOTAL_COLUMNS = ("start", "end", *COUNTS, *RATES, "as_of")
_TOTALS = f"""
    SELECT period.starts_on AS start, period.ends_on AS "end", {_columns((*COUNTS, *RATES, "as_of"), "totals")}
      FROM unnest(%(starts)s::date[], %(ends)s::date[]) WITH ORDINALITY AS period (starts_on, ends_on, number)
     CROSS JOIN LATERAL analytics.workspace_totals(period.starts_on, period.ends_on) AS totals
     ORDER BY period.number
"""  # noqa: S608 - constant text

_TEXTS = {"name", "status", "campaign_id"}
_TIMES = set(TIMESTAMPS)


def select_campaigns(
    workspace_id: UUID,
    filters: CampaignFilter,
    sort: str,
    *,
    after: Sequence[str] | None = None,
    limit: int | None = None,
) -> MartQuery:
    """Return the query for the workspace's campaigns in the order `sort`: at most `limit` rows after `after`."""
    active = {name: value for name in _FILTERS if (value := getattr(filters, name)) not in {None, ""}}
    parameters: dict[str, Any] = {"workspace_id": workspace_id, **active}
    conditions = [_FILTERS[name] for name in active]
    key, kind = _SORT_KEYS[sort_column(sort)]
    direction, sign = ("DESC", "<") if sort.startswith("-") else ("ASC", ">")
    if after is not None:
        parameters["after"], parameters["after_id"] = after
        conditions.append(f"({key}, campaign_id) {sign} (%(after)s::{kind}, %(after_id)s)")
    statement = " AND ".join([_SELECT_CAMPAIGNS, *conditions]) + f" ORDER BY {key} {direction}, campaign_id {direction}"
    if limit is not None:
        parameters["limit"] = limit
        statement += " LIMIT %(limit)s"
    return MartQuery(statement, parameters, CAMPAIGN_COLUMNS)


def sort_column(sort: str) -> str:
    """Return the column by which campaigns in the order `sort` are sorted before their ids."""
    return to_snake(sort.removeprefix("-"))


def select_campaign(workspace_id: UUID, campaign_id: str) -> MartQuery:
    """Return the query for one campaign of the workspace."""
    parameters = {"workspace_id": workspace_id, "campaign_id": campaign_id}
    return MartQuery(f"{_SELECT_CAMPAIGNS} AND campaign_id = %(campaign_id)s", parameters, CAMPAIGN_COLUMNS)


def select_steps(workspace_id: UUID, campaign_id: str) -> MartQuery:
    """Return the query for the figures of a campaign's steps, in their order."""
    return MartQuery(_STEPS, {"workspace_id": workspace_id, "campaign_id": campaign_id}, STEP_COLUMNS)


def select_days(workspace_id: UUID, start: date, end: date, *, campaign_id: str | None = None) -> MartQuery:
    """Return the query for one row per local day from `start` to `end`, of all messages or those of one sequence.

    The counts of a day without events are 0.
    """
    parameters = {"workspace_id": workspace_id, "start": start, "days": (end - start).days}
    if campaign_id is None:
        return MartQuery(_WORKSPACE_DAYS, parameters, DAY_COLUMNS)
    return MartQuery(_CAMPAIGN_DAYS, {**parameters, "campaign_id": campaign_id}, DAY_COLUMNS)


def select_totals(periods: Sequence[tuple[date | None, date | None]]) -> MartQuery:
    """Return the query for the totals and rates of the current workspace's messages sent in each period."""
    starts, ends = [start for start, _ in periods], [end for _, end in periods]
    return MartQuery(_TOTALS, {"starts": starts, "ends": ends}, TOTAL_COLUMNS)


async def fetch_rows(session: AsyncSession, query: MartQuery) -> list[Record]:
    """Return the rows of a query; raises MartMissing."""
    with _raise_mart_missing():
        return await fetch(session, query.statement, query.parameters)


async def stream_csv_lines(session: AsyncSession, query: MartQuery) -> AsyncIterator[bytes]:
    """Yield the rows of a query as lines of CSV, each ended by CR and LF; raises MartMissing.

    Times are UTC, rates are plain decimals. A text that a spreadsheet would read as a formula gets an apostrophe first.
    """
    columns = ", ".join(_csv_expression(name) for name in query.columns)
    statement = f"SELECT {columns} FROM ({query.statement}) AS slice"  # noqa: S608 - constant text
    with _raise_mart_missing():
        # Postgres sends one row at a time and ends it with LF only.
        async for line in copy_select(session, statement, dict(query.parameters)):
            yield line[:-1] + b"\r\n"


def _csv_expression(name: str) -> str:
    if name in _TIMES:
        return f"""to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    if name in _TEXTS:
        return rf"CASE WHEN {name} ~ '^[=+\-@\t\r'']' THEN '''' || {name} ELSE {name} END"
    return f'"{name}"'


@contextmanager
def _raise_mart_missing() -> Iterator[None]:
    """Raise MartMissing when the database reports an undefined table, column or function."""
    missing = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedColumn)
    try:
        yield
    except missing as error:
        raise MartMissing from error
    except ProgrammingError as error:
        if isinstance(error.orig, missing):
            raise MartMissing from error
        raise

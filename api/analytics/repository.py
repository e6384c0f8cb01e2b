"""The SQL of the figures: rows of the marts that dbt builds, selected and filtered, nothing counted or divided here."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import (
    BigInteger,
    Date,
    DateTime,
    Integer,
    Numeric,
    Text,
    Uuid,
    and_,
    cast,
    column,
    func,
    literal,
    select,
    table,
)
from sqlalchemy.engine import Row
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.expression import ColumnClause, TableClause

from database.base import ANALYTICS_SCHEMA

COUNTS = (
    "sent",
    "delivered",
    "bounced",
    "hard_bounced",
    "soft_bounced",
    "opened",
    "human_opened",
    "machine_opened",
    "clicked",
    "human_clicked",
    "machine_clicked",
    "replied",
    "unsubscribed",
    "complained",
)
DAILY_COUNTS = tuple(name for name in COUNTS if name not in {"hard_bounced", "soft_bounced"})
RATES = (
    "delivery_rate",
    "bounce_rate",
    "open_rate",
    "human_open_rate",
    "click_rate",
    "human_click_rate",
    "click_to_open_rate",
    "reply_rate",
    "unsubscribe_rate",
)
MOMENTS = ("created_at", "first_sent_at", "last_sent_at", "last_activity_at", "as_of")


class MartMissing(Exception):
    """dbt has not built the marts of this database yet."""


def _columns(type_: Any, names: Sequence[str]) -> list[ColumnClause[Any]]:
    return [column(name, type_) for name in names]


CAMPAIGNS = table(
    "campaigns",
    column("workspace_id", Uuid()),
    column("sequence_id", Uuid()),
    *_columns(Text(), ("campaign_id", "kind", "name", "status")),
    *_columns(BigInteger(), COUNTS),
    *_columns(Numeric(asdecimal=False), RATES),
    *_columns(DateTime(timezone=True), MOMENTS),
    schema=ANALYTICS_SCHEMA,
)
DAYS = table(
    "timeline_events",
    column("workspace_id", Uuid()),
    column("day", Date()),
    column("as_of", DateTime(timezone=True)),
    *_columns(BigInteger(), DAILY_COUNTS),
    schema=ANALYTICS_SCHEMA,
)
# The three marts of a campaign's steps: the same grain, each with figures of its own.
STEP_KEY = ("campaign_id", "step_order")
DELIVERED = ("sent", "delivered", "bounced", "hard_bounced", "soft_bounced")
ENGAGED = (
    "opened",
    "human_opened",
    "machine_opened",
    "clicked",
    "human_clicked",
    "machine_clicked",
    "replied",
)
LEFT = ("unsubscribed", "complained")


def _step_mart(name: str, counts: Sequence[str], rates: Sequence[str]) -> TableClause:
    return table(
        name,
        column("workspace_id", Uuid()),
        column("campaign_id", Text()),
        column("step_order", Integer()),
        *_columns(BigInteger(), counts),
        *_columns(Numeric(asdecimal=False), rates),
        schema=ANALYTICS_SCHEMA,
    )


DELIVERY = _step_mart("delivery_stats", DELIVERED, RATES[:2])
ENGAGEMENT = _step_mart("engagement_stats", ENGAGED, RATES[2:8])
UNSUBSCRIBES = _step_mart("unsubscribe_stats", LEFT, RATES[8:])
SHOWN_OF_CAMPAIGNS = [one for one in CAMPAIGNS.c if one.name != "workspace_id"]


@contextmanager
def _marts() -> Iterator[None]:
    """Raise MartMissing where the database says that there is no such table or function."""
    try:
        yield
    except ProgrammingError as error:
        if isinstance(error.orig, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedFunction):
            raise MartMissing from error
        raise


async def find_campaigns(
    session: AsyncSession, workspace_id: UUID, *, before: str | None, limit: int
) -> Sequence[Row[Any]]:
    """Return the workspace's campaigns by descending id, which for sequences is newest first, one more than `limit`."""
    statement = select(*SHOWN_OF_CAMPAIGNS).where(CAMPAIGNS.c.workspace_id == workspace_id)
    if before is not None:
        statement = statement.where(CAMPAIGNS.c.campaign_id < before)
    with _marts():
        return (await session.execute(statement.order_by(CAMPAIGNS.c.campaign_id.desc()).limit(limit + 1))).all()


async def find_campaign(session: AsyncSession, workspace_id: UUID, campaign_id: str) -> Row[Any] | None:
    """Return one campaign of the workspace."""
    statement = select(*SHOWN_OF_CAMPAIGNS).where(
        CAMPAIGNS.c.workspace_id == workspace_id, CAMPAIGNS.c.campaign_id == campaign_id
    )
    with _marts():
        return (await session.execute(statement)).one_or_none()


async def find_steps(session: AsyncSession, workspace_id: UUID, campaign_id: str) -> Sequence[Row[Any]]:
    """Return a campaign's figures step by step."""
    same = [
        and_(DELIVERY.c.workspace_id == other.c.workspace_id, *(DELIVERY.c[key] == other.c[key] for key in STEP_KEY))
        for other in (ENGAGEMENT, UNSUBSCRIBES)
    ]
    statement = (
        select(
            DELIVERY.c.step_order,
            *(DELIVERY.c[name] for name in (*DELIVERED, *RATES[:2])),
            *(ENGAGEMENT.c[name] for name in (*ENGAGED, *RATES[2:8])),
            *(UNSUBSCRIBES.c[name] for name in (*LEFT, *RATES[8:])),
        )
        .select_from(DELIVERY.join(ENGAGEMENT, same[0]).join(UNSUBSCRIBES, same[1]))
        .where(DELIVERY.c.workspace_id == workspace_id, DELIVERY.c.campaign_id == campaign_id)
        .order_by(DELIVERY.c.step_order)
    )
    with _marts():
        return (await session.execute(statement)).all()


async def find_days(session: AsyncSession, workspace_id: UUID, start: date, end: date) -> Sequence[Row[Any]]:
    """Return one row for each local day from `start` to `end`; where nothing happened, its counts are 0."""
    numbers = func.generate_series(0, (end - start).days).table_valued(column("n", Integer())).render_derived()
    day = cast(literal(start, Date()).op("+")(numbers.c.n), Date())
    mine = select(DAYS).where(DAYS.c.workspace_id == workspace_id).subquery("mine")
    freshness = select(func.max(DAYS.c.as_of)).where(DAYS.c.workspace_id == workspace_id).scalar_subquery()
    counts = [func.coalesce(mine.c[name], 0).label(name) for name in DAILY_COUNTS if name != "complained"]
    statement = (
        select(day.label("date"), *counts, mine.c.complained, freshness.label("as_of"))
        .select_from(numbers.outerjoin(mine, mine.c.day == day))
        .order_by(numbers.c.n)
    )
    with _marts():
        days: Sequence[Row[Any]] = (await session.execute(statement)).all()
    return days


async def find_totals(session: AsyncSession, start: date | None, end: date | None) -> Row[Any]:
    """Return the totals and rates of the current workspace's messages sent in a period, as dbt defines them."""
    totals = func.analytics.workspace_totals(literal(start, Date()), literal(end, Date())).table_valued(
        *_columns(BigInteger(), COUNTS),
        *_columns(Numeric(asdecimal=False), RATES),
        column("as_of", DateTime(timezone=True)),
    )
    with _marts():
        return (await session.execute(select(*totals.c))).one()

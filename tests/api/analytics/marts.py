"""A database with empty marts, and functions that insert rows as dbt's role."""

import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import sql

from database.roles import libpq_url, owner_url
from tests.postgres import DropQueue, create_database

AS_OF = datetime(2026, 3, 10, 6, tzinfo=UTC)
DELIVERED = {"sent": 100, "delivered": 80, "bounced": 20, "hard_bounced": 15, "soft_bounced": 5}
MEASURED = {"opens_measured": 80, "clicks_measured": 80}
READ = {
    "opened": 40,
    "human_opened": 30,
    "machine_opened": 15,
    "clicked": 10,
    "human_clicked": 8,
    "machine_clicked": 2,
    "replied": 4,
}
REPEATED = {
    "clicked_with_opens_measured": 10,
    "opens": 60,
    "human_opens": 44,
    "machine_opens": 16,
    "clicks": 12,
    "human_clicks": 9,
    "machine_clicks": 3,
}
LEFT = {"unsubscribed": 2, "complained": None}
DELIVERY_RATES = {"delivery_rate": "0.8", "bounce_rate": "0.2"}
READ_RATES = {
    "open_rate": "0.5",
    "human_open_rate": "0.375",
    "click_rate": "0.125",
    "human_click_rate": "0.1",
    "click_to_open_rate": "0.25",
    "reply_rate": "0.05",
}
LEAVING_RATES = {"unsubscribe_rate": "0.025"}
DAILY: dict[str, Any] = {**DELIVERED, **MEASURED, **READ, **LEFT, "as_of": AS_OF}
FIGURES: dict[str, Any] = {**DAILY, **REPEATED, **DELIVERY_RATES, **READ_RATES, **LEAVING_RATES}
STEP_MARTS: dict[str, dict[str, Any]] = {
    "delivery_stats": {**DELIVERED, **DELIVERY_RATES},
    "engagement_stats": {"delivered": 80, **MEASURED, **READ, **REPEATED, **READ_RATES},
    "unsubscribe_stats": {"delivered": 80, **LEFT, **LEAVING_RATES},
}


@pytest.fixture
def database_url(postgres_url: str, marts_template: str, drop_queue: DropQueue) -> Iterator[str]:
    """A database with empty marts."""
    name = f"test_{uuid.uuid4().hex}"
    yield create_database(postgres_url, name, template=marts_template)
    drop_queue.add(name)


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A connection of dbt's role."""
    async with await psycopg.AsyncConnection.connect(libpq_url(owner_url(database_url)), autocommit=True) as connection:
        yield connection


async def insert(owner: psycopg.AsyncConnection, mart: str, row: dict[str, Any]) -> None:
    """Insert a row into a mart."""
    statement = sql.SQL("INSERT INTO analytics.{} ({}) VALUES ({})").format(
        sql.Identifier(mart),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
    )
    await owner.execute(statement, list(row.values()))


async def add_campaign(owner: psycopg.AsyncConnection, workspace: str, campaign_id: str, **more: Any) -> None:
    """Insert the figures of a campaign."""
    row = {"workspace_id": workspace, "campaign_id": campaign_id, "kind": "sequence", "name": "Spring", **FIGURES}
    await insert(owner, "campaigns", {**row, **more})


async def add_step(owner: psycopg.AsyncConnection, workspace: str, campaign_id: str, order: int, **more: Any) -> None:
    """Insert a step into each of the three marts of steps, with those values of `more` that the mart has."""
    step_id = uuid.uuid4()
    for mart, figures in STEP_MARTS.items():
        key = {"workspace_id": workspace, "campaign_id": campaign_id, "kind": "sequence", "as_of": AS_OF}
        placed = {**key, "step_id": step_id, "step_order": order, **figures}
        await insert(owner, mart, {**placed, **{name: value for name, value in more.items() if name in placed}})

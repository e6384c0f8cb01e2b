import asyncio
from typing import Any

import psycopg
import pytest

from database.roles import connect, owner_url
from orchestration.defs.everlytic.landing import TRANSACTIONS, land
from tests.overtaking import overtaken
from tests.two_workspaces import TwoWorkspaces

pytestmark = pytest.mark.anyio

TABLE = "everlytic.transactions"


@pytest.mark.fences("orchestration.defs.everlytic.landing:_upsert")
async def test_rows_that_were_emptied_stay_empty(two_workspaces: TwoWorkspaces) -> None:
    """A polled row replaces one that says otherwise; not one that was emptied meanwhile, nor one that says the same."""
    workspaces = two_workspaces
    rows: list[dict[str, Any]] = [
        {"workspace_id": str(workspaces.id), "transaction_id": name, "opens": 1, "raw": '{"a": 1}'}
        for name in ("emptied", "other", "same")
    ]

    def land_all() -> dict[str, tuple[int, int]]:
        with connect(owner_url(workspaces.url)) as connection, connection.transaction():
            return land(connection, TRANSACTIONS, TRANSACTIONS.frame(rows))

    land_all()
    workspaces.owner.execute("UPDATE everlytic.transactions SET opens = 2 WHERE transaction_id = 'other'")

    def empty(other: psycopg.Connection) -> None:
        other.execute("UPDATE everlytic.transactions SET opens = NULL, raw = '{}' WHERE transaction_id = 'emptied'")

    overtaking = await overtaken(workspaces, empty, lambda _: asyncio.to_thread(land_all))
    assert overtaking.result == {str(workspaces.id): (0, 1)}
    assert overtaking.rows == {TABLE: {f"{workspaces.id} other"}}

import asyncio
from typing import Any

import psycopg
import pytest

from database.roles import connect, owner_url
from orchestration.defs.everlytic.landing import TRANSACTIONS, land_frame
from tests.overtaking import overtaken
from tests.two_workspaces import TwoWorkspaces

pytestmark = pytest.mark.anyio

TABLE = "everlytic.transactions"


@pytest.mark.fences("orchestration.defs.everlytic.landing:_upsert_statement")
async def test_erased_rows_stay_empty(two_workspaces: TwoWorkspaces) -> None:
    """A polled row replaces a row with other content, but not a row that was erased meanwhile or that is the same."""
    workspaces = two_workspaces
    rows: list[dict[str, Any]] = [
        {"workspace_id": str(workspaces.id), "transaction_id": name, "opens": 1, "raw": '{"a": 1}'}
        for name in ("erased", "other", "same")
    ]

    def land_all() -> dict[str, tuple[int, int]]:
        with connect(owner_url(workspaces.url)) as connection, connection.transaction():
            return land_frame(connection, TRANSACTIONS, TRANSACTIONS.to_frame(rows))

    land_all()
    workspaces.owner.execute("UPDATE everlytic.transactions SET opens = 2 WHERE transaction_id = 'other'")

    def erase(other: psycopg.Connection) -> None:
        other.execute("UPDATE everlytic.transactions SET opens = NULL, raw = '{}' WHERE transaction_id = 'erased'")

    overtaking = await overtaken(workspaces, erase, lambda _: asyncio.to_thread(land_all))
    assert overtaking.result == {str(workspaces.id): (0, 1)}
    assert overtaking.rows == {TABLE: {f"{workspaces.id} other"}}

import asyncio
from uuid import UUID

import psycopg
import pytest

from tests.api.importing import Imports, Tables, Worker
from tests.api.waiting import until_waiting

pytestmark = pytest.mark.anyio

WAITING = (
    "SELECT count(*) AS waiting FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


async def test_an_undo_and_a_commit_take_turns(
    imports: Imports, worker: Worker, tables: Tables, database_url: str
) -> None:
    """An undo holds leads it made and leads it changed in one order, that of everybody: who waits is served in time."""
    known = UUID((await imports.made("leads", {"email": "known@example.com"}))["id"])
    people = ["a@example.com", "b@example.com", "known@example.com"]
    first = await imports.imported("Email,Company\n" + "".join(f"{one},Acme\n" for one in people))
    text = "Email,Company\n" + "".join(f"{one},Beta\n" for one in people)
    second = await imports.uploaded(text, duplicatePolicy="overwrite")
    *_, last = sorted(UUID(lead["id"]) for lead in (await imports.leads()).values())
    assert last != known
    await imports.start(first, "undo")
    await imports.start(second, "commit")
    with psycopg.connect(database_url) as other, psycopg.connect(database_url, autocommit=True) as watcher:
        other.execute("SELECT FROM app.leads WHERE id = %s FOR UPDATE", [last])
        undoing = await until_waiting(watcher, worker.undo_block(first))
        committing = asyncio.create_task(worker.commit_block(second))
        while tables.run(WAITING)[0]["waiting"] < 2:
            assert not committing.done()
            await asyncio.wait({committing}, timeout=0.01)
        other.rollback()
    assert all(await asyncio.gather(undoing, committing))

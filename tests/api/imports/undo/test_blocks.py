import asyncio
from uuid import UUID

import pytest

from api.http.resources import Services
from api.imports import commit as commits
from api.imports import undo as service
from database.tenancy import Scope, transaction
from tests.api.importing import Imports, Tables, Worker, in_blocks

pytestmark = pytest.mark.anyio

BLOCKS = 3
ROWS = 6
PEOPLE = [[f"b{block}r{row}@example.com" for row in range(ROWS)] for block in range(BLOCKS)]
KNOWN = [address for block in PEOPLE for address in block[: ROWS // 2]]
ALL = [address for block in PEOPLE for address in block]
FILE = in_blocks("Email,First Name", *([f"{one},Ann" for one in block] for block in PEOPLE))


class Interrupted(Exception):
    """Ends a transaction as a crash would."""


async def add_known(imports: Imports) -> None:
    """Make half of the people of each block leads."""
    await imports.made("leads/bulk", {"leads": [{"email": one} for one in KNOWN]})


async def test_progress(imports: Imports, worker: Worker, tables: Tables, workspace: str) -> None:
    """After each block the import says how far the undo is, and leads and lists say the same."""
    await add_known(imports)
    before = (tables.leads(workspace), tables.lists(workspace))
    made = await imports.imported(FILE)
    begun = await imports.start(made, "undo")
    assert (begun["processedCount"], begun["removedCount"], begun["restoredCount"]) == (0, 0, 0)
    for number in range(1, BLOCKS + 1):
        assert await worker.undo_block(made)
        now = await imports.get(f"imports/{made['id']}")
        half = number * ROWS // 2
        assert (now["state"], now["processedCount"]) == ("undoing", number * ROWS)
        assert (now["removedCount"], now["restoredCount"]) == (half, half)
        assert len(tables.leads(workspace)) == len(ALL) - half
        assert tables.lists(workspace) == {UUID(made["listId"]): len(ALL) - 2 * half}
    assert not await worker.undo_block(made)
    undone = await imports.get(f"imports/{made['id']}")
    assert undone["state"] == "undone"
    assert (tables.leads(workspace), tables.lists(workspace)) == before
    assert not await worker.undo_block(made)
    assert await imports.get(f"imports/{made['id']}") == undone


async def test_an_interrupted_block(
    imports: Imports, worker: Worker, services: Services, tables: Tables, workspace: str
) -> None:
    """A block that is interrupted changes nothing, and a run that continues ends where an undisturbed undo would."""
    scope, now = Scope(workspace_id=worker.workspace_id), services.clock.now()
    await add_known(imports)
    at_first = (tables.leads(workspace), tables.lists(workspace))
    made = await imports.imported(FILE)
    await imports.start(made, "undo")

    async def undo_and_fail() -> None:
        async with transaction(services.pool, scope) as session:
            await service.undo_block(session, worker.workspace_id, UUID(made["id"]), now)
            raise Interrupted

    for _ in range(BLOCKS + 1):
        before = (await imports.get(f"imports/{made['id']}"), tables.counts(), tables.leads(workspace))
        with pytest.raises(Interrupted):
            await undo_and_fail()
        assert (await imports.get(f"imports/{made['id']}"), tables.counts(), tables.leads(workspace)) == before
        await worker.undo_block(made)
    undone = await imports.get(f"imports/{made['id']}")
    assert (undone["state"], undone["removedCount"], undone["restoredCount"]) == ("undone", 9, 9)
    assert (tables.leads(workspace), tables.lists(workspace)) == at_first


async def test_two_workers_on_one_undo(imports: Imports, worker: Worker, tables: Tables, workspace: str) -> None:
    """However many workers hold the same undo, each lead is taken back and counted once."""
    await add_known(imports)
    before = (tables.leads(workspace), tables.lists(workspace))
    made = await imports.imported(FILE)
    await imports.start(made, "undo")
    await asyncio.gather(*(worker.undo(made) for _ in range(3)))
    undone = await imports.get(f"imports/{made['id']}")
    assert (undone["state"], undone["removedCount"], undone["restoredCount"]) == ("undone", 9, 9)
    assert (tables.leads(workspace), tables.lists(workspace)) == before


async def test_a_commit_that_failed_half_way(
    imports: Imports, worker: Worker, services: Services, tables: Tables, workspace: str
) -> None:
    """What a failed commit had written can be undone; the blocks it never came to have nothing to take back."""
    await add_known(imports)
    before = (tables.leads(workspace), tables.lists(workspace))
    made = await imports.uploaded(FILE)
    await imports.start(made, "commit")
    await worker.commit_block(made)
    async with transaction(services.pool, Scope(workspace_id=worker.workspace_id)) as session:
        await commits.fail_import(session, worker.workspace_id, UUID(made["id"]), "because")
    undone = await imports.undo(made)
    assert (undone["removedCount"], undone["restoredCount"], undone["keptCount"]) == (3, 3, 0)
    assert undone["error"] is None
    assert (tables.leads(workspace), tables.lists(workspace)) == before


async def test_changed_between_blocks(imports: Imports, worker: Worker, tables: Tables, workspace: str) -> None:
    """A lead of a later block that a person changes, or deletes, while the undo is under way is left to them."""
    made = await imports.imported(FILE)
    leads = tables.leads(workspace)
    await imports.start(made, "undo")
    await worker.undo_block(made)
    changed, deleted = PEOPLE[2][:2]
    await imports.client.patch(f"{imports.base}/leads/{leads[changed]['id']}", json={"company": "Acme"})
    await imports.client.delete(f"{imports.base}/leads/{leads[deleted]['id']}")
    await worker.undo(made)
    undone = await imports.get(f"imports/{made['id']}")
    assert (undone["removedCount"], undone["keptCount"]) == (len(ALL) - 2, 1)
    assert set(tables.leads(workspace)) == {changed}
    assert tables.lists(workspace) == {UUID(made["listId"]): 1}


async def test_two_imports_of_the_same_people_undone_at_once(
    imports: Imports, worker: Worker, tables: Tables, workspace: str
) -> None:
    """Files that made and updated each other's leads are undone at once: both come to an end, and none is half done."""
    other = in_blocks("Email,Company", *([f"{one},Acme" for one in reversed(block)] for block in reversed(PEOPLE)))
    both = [await imports.uploaded(text) for text in (FILE, other)]
    for made in both:
        await imports.start(made, "commit")
    # In turn, so that each has made leads of the one's early blocks and updated those of the other's.
    for _ in range(BLOCKS + 1):
        for made in both:
            await worker.commit_block(made)
    committed = [await imports.get(f"imports/{made['id']}") for made in both]
    assert all(one["newCount"] and one["updatedCount"] for one in committed)
    for made in both:
        await imports.start(made, "undo")
    await asyncio.gather(*(worker.undo(made) for made in both))
    undone = [await imports.get(f"imports/{made['id']}") for made in both]
    assert [one["state"] for one in undone] == ["undone", "undone"]
    for before, after in zip(committed, undone, strict=True):
        dealt_with = after["removedCount"] + after["restoredCount"] + after["keptCount"]
        assert dealt_with == before["newCount"] + before["updatedCount"]
    # What is left was updated by the other one when its maker was undone.
    left = tables.leads(workspace)
    assert len(left) == sum(one["newCount"] for one in committed) - sum(one["removedCount"] for one in undone)
    assert sum(tables.lists(workspace).values()) == len(left)

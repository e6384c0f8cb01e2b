import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from api.http.resources import Services
from api.imports import commit as service
from database.tenancy import Scope, transaction
from domain.lead_import import RETENTION
from tests.api.conftest import RunJobs
from tests.api.importing import OUTCOMES, Imports, Tables, Worker, counts, in_blocks

pytestmark = pytest.mark.anyio

BLOCKS = 3
ROWS = 6


def addresses(block: int) -> list[str]:
    """Return the addresses in the rows of a block."""
    return [f"b{block}r{row}@example.com" for row in range(ROWS)]


ALL = [address for block in range(BLOCKS) for address in addresses(block)]
FILE = in_blocks("Email,First Name", *([f"{one},Ann" for one in addresses(block)] for block in range(BLOCKS)))


class Interrupted(Exception):
    """Ends a transaction as a crash would."""


def total(done: dict[str, Any]) -> int:
    """Return how many rows an import has dealt with, by their outcomes."""
    return sum(done[f"{outcome}Count"] for outcome in OUTCOMES)


async def test_progress(imports: Imports, worker: Worker, tables: Tables, workspace: str) -> None:
    """After each block the import says how far it is, and leads, counts and the list say the same.

    Its thirty days begin anew when the last one is written.
    """
    made = await imports.uploaded(FILE)
    assert (made["rowCount"], made["processedCount"], made["newCount"]) == (len(ALL), 0, None)
    begun = await imports.start(made, "commit")
    assert [begun["processedCount"], *(begun[f"{one}Count"] for one in OUTCOMES)] == [0] * (1 + len(OUTCOMES))
    for number in range(1, BLOCKS + 1):
        assert await worker.commit_block(made)
        now = await imports.get(f"imports/{made['id']}")
        assert (now["state"], now["processedCount"], now["newCount"]) == ("committing", number * ROWS, number * ROWS)
        assert (now["committedAt"], now["expiresAt"]) == (None, made["expiresAt"])
        assert set(tables.leads(workspace)) == set(ALL[: number * ROWS])
        assert tables.lists(workspace) == {UUID(now["listId"]): number * ROWS}
    assert not await worker.commit_block(made)
    done = await imports.get(f"imports/{made['id']}")
    assert (done["state"], done["processedCount"], total(done)) == ("committed", len(ALL), len(ALL))
    assert datetime.fromisoformat(done["expiresAt"]) == datetime.fromisoformat(done["committedAt"]) + RETENTION
    assert not await worker.commit_block(made)
    assert await imports.get(f"imports/{made['id']}") == done


async def test_leads_are_in_the_order_of_the_file(imports: Imports) -> None:
    """A list of leads shows those of a file in its order, whichever block they are in."""
    await imports.imported(FILE)
    shown = [lead["email"] for lead in (await imports.get("leads?sort=createdAt&limit=500"))["items"]]
    assert shown == ALL


async def test_two_workers_on_one_import(imports: Imports, worker: Worker, tables: Tables, workspace: str) -> None:
    """However many workers hold the same import, each block is written once."""
    made = await imports.uploaded(FILE)
    await imports.start(made, "commit")
    await asyncio.gather(*(worker.commit(made) for _ in range(3)))
    done = await imports.get(f"imports/{made['id']}")
    assert (done["state"], done["processedCount"], counts(done)) == ("committed", len(ALL), {"new": len(ALL)})
    assert set(tables.leads(workspace)) == set(ALL)
    assert tables.lists(workspace) == {UUID(done["listId"]): len(ALL)}


@pytest.mark.parametrize("policy", ["skip", "fill", "overwrite"])
async def test_two_files_at_once(imports: Imports, worker: Worker, tables: Tables, workspace: str, policy: str) -> None:
    """Two files with the same addresses in other orders make each lead once, in one list, and count every row."""
    rows = [[f"{one},Bob" for one in reversed(addresses(block))] for block in reversed(range(BLOCKS))]
    texts = (FILE, in_blocks("Email,First Name", *rows))
    both = [await imports.uploaded(text, duplicatePolicy=policy) for text in texts]
    for made in both:
        await imports.start(made, "commit")
    await asyncio.gather(*(worker.commit(made) for made in both))
    done = [await imports.get(f"imports/{made['id']}") for made in both]
    assert sum(one["newCount"] for one in done) == len(ALL)
    assert [total(one) for one in done] == [len(ALL), len(ALL)]
    assert set(tables.leads(workspace)) == set(ALL)
    assert sum(tables.lists(workspace).values()) == len(ALL)
    for one in done:
        assert tables.lists(workspace)[UUID(one["listId"])] == one["newCount"]
    if policy != "overwrite":
        assert {one["updatedCount"] for one in done} == {0}


async def test_an_interrupted_block(
    imports: Imports, worker: Worker, services: Services, tables: Tables, workspace: str
) -> None:
    """A block that is interrupted changes nothing, and a run that continues ends where an undisturbed one would."""
    scope, now = Scope(workspace_id=worker.workspace_id), services.clock.now()
    made = await imports.uploaded(FILE)
    await imports.start(made, "commit")

    async def commit_and_fail() -> None:
        async with transaction(services.pool, scope) as session:
            await service.commit_block(session, worker.workspace_id, UUID(made["id"]), now)
            raise Interrupted

    for _ in range(BLOCKS + 1):
        before = (await imports.get(f"imports/{made['id']}"), tables.counts(), tables.leads(workspace))
        with pytest.raises(Interrupted):
            await commit_and_fail()
        assert (await imports.get(f"imports/{made['id']}"), tables.counts(), tables.leads(workspace)) == before
        await worker.commit_block(made)
    done = await imports.get(f"imports/{made['id']}")
    assert (done["state"], counts(done)) == ("committed", {"new": len(ALL)})
    assert set(tables.leads(workspace)) == set(ALL)
    assert tables.lists(workspace) == {UUID(done["listId"]): len(ALL)}


async def test_failed_and_gone_on_with(
    imports: Imports, worker: Worker, services: Services, tables: Tables, workspace: str
) -> None:
    """A commit that failed half way says why, stops, and continues after its last block when it is started again."""
    made = await imports.uploaded(FILE)
    await imports.start(made, "commit")
    await worker.commit_block(made)
    async with transaction(services.pool, Scope(workspace_id=worker.workspace_id)) as session:
        await service.fail_import(session, worker.workspace_id, UUID(made["id"]), "because")
    failed = await imports.get(f"imports/{made['id']}")
    assert (failed["state"], failed["error"], failed["processedCount"]) == ("failed", "because", ROWS)
    assert not await worker.commit_block(made)
    assert set(tables.leads(workspace)) == set(addresses(0))
    before = tables.leads(workspace)

    again = await imports.start(made, "commit")
    assert (again["error"], again["processedCount"], again["newCount"]) == (None, ROWS, ROWS)
    assert again["listId"] == failed["listId"]
    await worker.commit(made)
    done = await imports.get(f"imports/{made['id']}")
    assert (done["state"], counts(done)) == ("committed", {"new": len(ALL)})
    after = tables.leads(workspace)
    assert set(after) == set(ALL)
    assert {address: after[address] for address in before} == before
    assert tables.lists(workspace) == {UUID(done["listId"]): len(ALL)}


async def test_only_a_commit_under_way_can_fail(imports: Imports, worker: Worker, services: Services) -> None:
    """A worker that comes late cannot make a failure of an import that another one has finished."""
    done = await imports.imported("Email\nann@example.com\n")
    async with transaction(services.pool, Scope(workspace_id=worker.workspace_id)) as session:
        await service.fail_import(session, worker.workspace_id, UUID(done["id"]), "because")
    assert await imports.get(f"imports/{done['id']}") == done


async def test_given_up(imports: Imports, tables: Tables, run_jobs: RunJobs) -> None:
    """A commit that failed at every attempt is `failed`, not under way for ever; mended, it goes on."""
    made = await imports.uploaded(FILE)
    await imports.start(made, "commit")
    blocks = tables.run("SELECT content FROM app.lead_import_blocks WHERE number = 1")
    tables.run("UPDATE app.lead_import_blocks SET content = 'spoilt' WHERE number = 1")
    tables.run("UPDATE app.scheduled_jobs SET attempts = max_attempts - 1 WHERE job_type = 'commit_import'")
    await run_jobs()
    failed = await imports.get(f"imports/{made['id']}")
    assert (failed["state"], failed["processedCount"]) == ("failed", ROWS)
    assert "Commit it again" in failed["error"]
    tables.run("UPDATE app.lead_import_blocks SET content = %s WHERE number = 1", *blocks[0].values())
    done = await imports.commit(made)
    assert (done["newCount"], done["error"]) == (len(ALL), None)

from typing import Any
from uuid import UUID

import pytest

from tests.api.importing import Imports, Tables, counts, in_blocks

pytestmark = pytest.mark.anyio

HEADER = "Email,First Name,Company,Segment,Time zone,City"
CELLS = "Anna,Acme,Enterprise,Africa/Johannesburg,Bonn"
NEW = [f"new{number}@example.com" for number in range(6)]
KNOWN = [f"known{number}@example.com" for number in range(6)]
FILE = in_blocks(HEADER, *([f"{one},{CELLS}" for one in (*NEW[at : at + 3], *KNOWN[at : at + 3])] for at in (0, 3)))


async def add_known(imports: Imports) -> None:
    """Make leads of KNOWN, in a list and in none, from blank to full."""
    list_id = (await imports.made("lead-lists", {"name": "Known"}))["id"]
    full = {"firstName": "Ann", "company": "Beta", "segment": "SMB", "timezone": "Europe/Berlin", "role": "CEO"}
    custom: dict[str, Any] = {"City": "Ulm", "Age": 41, "Is customer": True}
    leads = [
        {"email": KNOWN[0]},
        {"email": KNOWN[1], "listId": list_id},
        {"email": KNOWN[2], **full, "customFields": custom},
        {"email": KNOWN[3], **full, "customFields": custom, "listId": list_id},
        {"email": KNOWN[4], "firstName": "Ann", "customFields": {"Age": 0.5}},
        {"email": KNOWN[5], "segment": "SMB", "listId": list_id},
        {"email": "other@example.com", "listId": list_id},
    ]
    await imports.made("leads/bulk", {"leads": leads})


@pytest.mark.parametrize("policy", ["skip", "fill", "overwrite"])
async def test_everything_is_as_it_was(imports: Imports, tables: Tables, workspace: str, policy: str) -> None:
    """New leads are gone, updated ones have every field and their list back, and the file's list is deleted."""
    await add_known(imports)
    before = (tables.leads(workspace), tables.lists(workspace))
    done = await imports.imported(FILE, duplicatePolicy=policy)
    updated = done["updatedCount"]
    assert counts(done)["new"] == len(NEW)
    assert (updated == 0) is (policy == "skip")
    assert sum(tables.leads(workspace)[one] != before[0][one] for one in KNOWN) == updated
    assert (done["removedCount"], done["restoredCount"], done["keptCount"]) == (None, None, None)

    undone = await imports.undo(done)
    assert (tables.leads(workspace), tables.lists(workspace)) == before
    assert (undone["removedCount"], undone["restoredCount"], undone["keptCount"]) == (len(NEW), updated, 0)
    assert (undone["processedCount"], undone["undoneAt"] is None) == (undone["rowCount"], False)
    assert counts(undone) == counts(done)
    assert await imports.get(f"imports/{done['id']}/kept-leads") == {"items": [], "nextCursor": None}
    gone = await imports.client.get(f"{imports.base}/lead-lists/{done['listId']}")
    assert gone.status_code == 404
    for one in NEW:
        await imports.made("leads", {"email": one})


async def test_a_list_with_others_in_it_stays(imports: Imports, tables: Tables, workspace: str) -> None:
    """A list that a user has added another lead to is not removed with the import."""
    done = await imports.imported("Email\nann@example.com\n")
    await imports.made("leads", {"email": "zoe@example.com", "listId": done["listId"]})
    await imports.undo(done)
    assert set(tables.leads(workspace)) == {"zoe@example.com"}
    assert tables.lists(workspace) == {UUID(done["listId"]): 1}


@pytest.mark.parametrize("policy", ["skip", "fill", "overwrite"])
async def test_commit_again(imports: Imports, tables: Tables, workspace: str, policy: str) -> None:
    """After an undo the file can be committed again: it makes its leads anew, with the same fields; and be undone."""
    await add_known(imports)
    before = (tables.leads(workspace), tables.lists(workspace))
    first = await imports.imported(FILE, duplicatePolicy=policy)
    after_first = tables.leads(workspace)
    await imports.undo(first)
    assert counts(await imports.preview(first)) == counts(first)

    second = await imports.commit(first)
    assert counts(second) == counts(first)
    assert (second["removedCount"], second["undoneAt"]) == (None, None)
    after_second = tables.leads(workspace)
    of_a_commit = {"id", "created_at", "list_id"}
    assert {
        email: {name: row[name] for name in row if name not in of_a_commit} for email, row in after_first.items()
    } == {email: {name: row[name] for name in row if name not in of_a_commit} for email, row in after_second.items()}
    assert not {after_first[one]["id"] for one in NEW} & {after_second[one]["id"] for one in NEW}

    await imports.undo(first)
    assert (tables.leads(workspace), tables.lists(workspace)) == before


async def test_change_the_mapping_and_commit_again(imports: Imports) -> None:
    """An undone import can be mapped anew, which is what one undoes it for."""
    first = await imports.imported("Mail,Second\nann@example.com,ann@home.example\n")
    await imports.undo(first)
    columns = [{"position": 0, "target": "ignore"}, {"position": 1, "target": "email"}]
    put = await imports.client.put(f"{imports.base}/imports/{first['id']}/mapping", json={"columns": columns})
    assert (put.status_code, put.json()["state"]) == (200, "mapped")
    await imports.commit(first)
    assert set(await imports.leads()) == {"ann@home.example"}


async def test_leads_deleted_meanwhile(imports: Imports, tables: Tables, workspace: str) -> None:
    """What a person deleted since stays deleted, is no part of the undo's counts, and counts are right in all lists."""
    await add_known(imports)
    done = await imports.imported(FILE, duplicatePolicy="overwrite")
    leads = tables.leads(workspace)
    for one in (NEW[0], NEW[5], KNOWN[0], KNOWN[5]):
        deleted = await imports.client.delete(f"{imports.base}/leads/{leads[one]['id']}")
        assert deleted.status_code == 204
    undone = await imports.undo(done)
    assert (undone["removedCount"], undone["restoredCount"], undone["keptCount"]) == (4, 4, 0)
    assert set(tables.leads(workspace)) == {*KNOWN[1:5], "other@example.com"}
    assert sorted(tables.lists(workspace).values()) == [3]


async def test_leads_restored_meanwhile(imports: Imports) -> None:
    """A new lead that a person deleted and had back is theirs by now, and stays."""
    done = await imports.imported("Email\nann@example.com\nbob@example.com\n")
    url = f"leads/{(await imports.leads())['ann@example.com']['id']}"
    await imports.client.delete(f"{imports.base}/{url}")
    await imports.made(f"{url}/restore", None)
    undone = await imports.undo(done)
    assert (undone["removedCount"], undone["keptCount"]) == (1, 1)
    assert set(await imports.leads()) == {"ann@example.com"}

"""What people do while a commit is under way counts for the blocks that are still to come."""

from uuid import UUID

import pytest

from api.http.errors import WorkspaceGone
from tests.api.importing import OUTCOMES, Imports, Tables, Worker, counts, in_blocks

pytestmark = pytest.mark.anyio

EARLY = [f"early{row}@example.com" for row in range(5)]
LATE = [f"late{row}@example.com" for row in range(5)]
FILE = in_blocks("Email,First Name,Role", *([f"{one},Ann,CEO" for one in block] for block in (EARLY, LATE)))


@pytest.mark.parametrize("policy", ["fill", "overwrite"])
async def test_a_change(imports: Imports, worker: Worker, policy: str) -> None:
    """A known lead that a person fills in is compared as it is by then; what they change in a new one stays."""
    lead = await imports.made("leads", {"email": LATE[0]})
    made = await imports.uploaded(FILE, duplicatePolicy=policy)
    await imports.start(made, "commit")
    await worker.commit_block(made)
    early = (await imports.leads())[EARLY[0]]
    for lead_id in (lead["id"], early["id"]):
        await imports.client.patch(f"{imports.base}/leads/{lead_id}", json={"firstName": "Zoe"})
    await worker.commit(made)
    leads = await imports.leads()
    assert counts(await imports.get(f"imports/{made['id']}")) == {"new": 9, "updated": 1}
    assert (leads[EARLY[0]]["firstName"], leads[EARLY[0]]["role"]) == ("Zoe", "CEO")
    assert leads[LATE[0]]["firstName"] == {"fill": "Zoe", "overwrite": "Ann"}[policy]
    assert leads[LATE[0]]["role"] == "CEO"


@pytest.mark.parametrize("value", [{"email": LATE[0]}, {"domain": "example.com"}])
async def test_a_suppression(imports: Imports, worker: Worker, value: dict[str, str]) -> None:
    """An address that is suppressed between two blocks does not become a lead in the second."""
    made = await imports.uploaded(FILE)
    await imports.start(made, "commit")
    await worker.commit_block(made)
    await imports.made("suppressions", value)
    await worker.commit(made)
    done = await imports.get(f"imports/{made['id']}")
    lost = 1 if "email" in value else len(LATE)
    assert counts(done) == {"new": len(EARLY + LATE) - lost, "suppressed": lost}
    assert LATE[0] not in await imports.leads()


async def test_the_list_is_deleted(imports: Imports, worker: Worker, tables: Tables, workspace: str) -> None:
    """Leads of later blocks join no list that is gone; they come without one, and those before have lost it."""
    made = await imports.start(await imports.uploaded(FILE), "commit")
    await worker.commit_block(made)
    gone = await imports.client.delete(f"{imports.base}/lead-lists/{made['listId']}")
    assert gone.status_code == 204, gone.text
    await worker.commit(made)
    assert counts(await imports.get(f"imports/{made['id']}")) == {"new": len(EARLY + LATE)}
    assert {lead["list_id"] for lead in tables.leads(workspace).values()} == {None}
    assert tables.lists(workspace) == {}


async def test_the_list_is_deleted_among_updates(
    imports: Imports, worker: Worker, tables: Tables, workspace: str
) -> None:
    """Known leads of later blocks are updated all the same, and stay without a list."""
    known = [{"email": one} for one in LATE]
    await imports.made("leads/bulk", {"leads": known})
    made = await imports.start(await imports.uploaded(FILE), "commit")
    await worker.commit_block(made)
    await imports.client.delete(f"{imports.base}/lead-lists/{made['listId']}")
    await worker.commit(made)
    assert counts(await imports.get(f"imports/{made['id']}")) == {"new": len(EARLY), "updated": len(LATE)}
    assert {(lead["first_name"], lead["list_id"]) for lead in tables.leads(workspace).values()} == {("Ann", None)}


async def test_the_list_was_deleted_before_it_went_on(
    imports: Imports, worker: Worker, tables: Tables, workspace: str
) -> None:
    """An import whose list a person deleted has another one of that name when it is undone and committed again."""
    first = await imports.imported("Email\nann@example.com\n", listName="Spring")
    await imports.client.delete(f"{imports.base}/lead-lists/{first['listId']}")
    await imports.undo(first)
    again = await imports.commit(first)
    assert again["listId"] != first["listId"]
    # The lead was changed by losing its list: the undo kept it, and it joins the new one.
    assert tables.lists(workspace) == {UUID(again["listId"]): 1}
    assert (await imports.get(f"lead-lists/{again['listId']}"))["name"] == "Spring"


async def test_a_lead_is_made(imports: Imports, worker: Worker, tables: Tables, workspace: str) -> None:
    """An address that becomes a lead between two blocks is known when its block is committed."""
    made = await imports.uploaded(FILE, duplicatePolicy="skip")
    assert counts(await imports.preview(made)) == {"new": len(EARLY + LATE)}
    await imports.start(made, "commit")
    await worker.commit_block(made)
    theirs = await imports.made("leads", {"email": LATE[0], "firstName": "Zoe"})
    await worker.commit(made)
    done = await imports.get(f"imports/{made['id']}")
    assert counts(done) == {"new": len(EARLY + LATE) - 1, "duplicateInWorkspace": 1}
    assert sum(done[f"{outcome}Count"] for outcome in OUTCOMES) == done["rowCount"]
    assert tables.leads(workspace)[LATE[0]]["id"] == UUID(theirs["id"])
    assert tables.lists(workspace) == {UUID(done["listId"]): done["newCount"]}


async def test_a_lead_is_deleted(imports: Imports, worker: Worker, tables: Tables, workspace: str) -> None:
    """A known lead that a person deletes before its block comes is made anew; one of an earlier block stays deleted."""
    known = await imports.made("leads", {"email": LATE[0], "firstName": "Zoe"})
    made = await imports.uploaded(FILE)
    await imports.start(made, "commit")
    await worker.commit_block(made)
    early = (await imports.leads())[EARLY[0]]
    for lead_id in (known["id"], early["id"]):
        assert (await imports.client.delete(f"{imports.base}/leads/{lead_id}")).status_code == 204
    await worker.commit(made)
    done = await imports.get(f"imports/{made['id']}")
    assert counts(done) == {"new": len(EARLY + LATE)}
    leads = tables.leads(workspace)
    assert set(leads) == {*EARLY[1:], *LATE}
    assert (leads[LATE[0]]["first_name"], leads[LATE[0]]["id"] == UUID(known["id"])) == ("Ann", False)
    assert tables.lists(workspace) == {UUID(done["listId"]): len(leads)}


async def test_the_workspace_is_deleted(imports: Imports, worker: Worker) -> None:
    """A commit ends where its workspace does."""
    made = await imports.uploaded(FILE)
    await imports.start(made, "commit")
    await worker.commit_block(made)
    assert (await imports.client.delete(imports.base)).status_code == 204
    with pytest.raises(WorkspaceGone):
        await worker.commit(made)

from typing import Any
from uuid import UUID, uuid4

import pytest

from api.delivery.sending import service as sending
from api.delivery.sending.service import Claim, SendRequest
from api.http.resources import Services
from database.tenancy import Scope, transaction
from tests.api.importing import Imports, Tables
from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio

PEOPLE = [f"p{number}@lead.example" for number in range(6)]
FILE = "Email,First Name\n" + "".join(f"{one},Ann\n" for one in PEOPLE)


async def kept(imports: Imports, made: dict[str, Any]) -> dict[str, str]:
    """Return the addresses that an undo kept, each with the reason."""
    items = (await imports.get(f"imports/{made['id']}/kept-leads"))["items"]
    return {one["email"]: one["keptBecause"] for one in items}


async def test_changed_since(imports: Imports, tables: Tables, workspace: str) -> None:
    """New and updated leads that a person has changed, moved or unsubscribed stay as they are, and are listed."""
    other = (await imports.made("lead-lists", {"name": "Other"}))["id"]
    await imports.made("leads/bulk", {"leads": [{"email": one} for one in PEOPLE[:3]]})
    done = await imports.imported(FILE)
    leads = await imports.leads()
    for one in (PEOPLE[0], PEOPLE[3]):
        url = f"{imports.base}/leads/{leads[one]['id']}"
        assert (await imports.client.patch(url, json={"company": "Acme"})).status_code == 200
    assert (
        await imports.client.patch(f"{imports.base}/leads/{leads[PEOPLE[4]]['id']}", json={"listId": other})
    ).status_code == 200
    await imports.made(f"leads/{leads[PEOPLE[1]]['id']}/unsubscribe", None)
    before = tables.leads(workspace)

    undone = await imports.undo(done)
    changed = [PEOPLE[0], PEOPLE[1], PEOPLE[3], PEOPLE[4]]
    assert (undone["removedCount"], undone["restoredCount"], undone["keptCount"]) == (1, 1, 4)
    assert await kept(imports, done) == dict.fromkeys(changed, "changed")
    after = tables.leads(workspace)
    assert {one: after[one] for one in changed} == {one: before[one] for one in changed}
    assert after[PEOPLE[2]]["first_name"] == ""
    assert set(after) == {PEOPLE[0], PEOPLE[1], PEOPLE[2], PEOPLE[3], PEOPLE[4]}
    assert tables.lists(workspace) == {UUID(other): 1, UUID(done["listId"]): 3}


async def test_pages(imports: Imports) -> None:
    """Those that were kept are had page by page, each once, with the line of the file they are from."""
    done = await imports.imported(FILE)
    leads = await imports.leads()
    for one in PEOPLE[:5]:
        await imports.client.patch(f"{imports.base}/leads/{leads[one]['id']}", json={"company": "Acme"})
    await imports.undo(done)
    found: list[dict[str, Any]] = []
    cursor = ""
    for size in (2, 2, 1):
        page = await imports.get(f"imports/{done['id']}/kept-leads?limit=2{cursor}")
        assert len(page["items"]) == size
        found += page["items"]
        cursor = f"&cursor={page['nextCursor']}"
    assert page["nextCursor"] is None
    assert [(one["email"], one["lineNumber"], one["id"]) for one in found] == [
        (one, PEOPLE.index(one) + 2, leads[one]["id"]) for one in reversed(PEOPLE[:5])
    ]


async def test_changed_by_a_later_import(imports: Imports, tables: Tables, workspace: str) -> None:
    """What a later file has updated is no longer as the first one left it; the later file can be undone."""
    first = await imports.imported(FILE)
    before = tables.leads(workspace)
    second = await imports.imported("Email,Company\np0@lead.example,Acme\n")
    undone = await imports.undo(first)
    assert (undone["removedCount"], undone["keptCount"]) == (len(PEOPLE) - 1, 1)
    assert await kept(imports, first) == {PEOPLE[0]: "changed"}
    await imports.undo(second)
    assert tables.leads(workspace) == {PEOPLE[0]: before[PEOPLE[0]]}
    assert tables.lists(workspace) == {UUID(first["listId"]): 1}


async def test_mailed_since(imports: Imports, outreach: Outreach) -> None:
    """A lead that was mailed since, new or updated, stays and is listed as mailed."""
    await imports.made("leads", {"email": PEOPLE[0]})
    done = await imports.imported(FILE)
    leads = await imports.leads()
    sequence_id = await outreach.add_sequence("One")
    await outreach.enroll(sequence_id, *(leads[one]["id"] for one in PEOPLE[:2]))
    assert len(outreach.mails()) == 2
    undone = await imports.undo(done)
    assert (undone["removedCount"], undone["restoredCount"], undone["keptCount"]) == (len(PEOPLE) - 2, 0, 2)
    assert await kept(imports, done) == dict.fromkeys(PEOPLE[:2], "mailed")
    assert {one["firstName"] for one in (await imports.leads()).values()} == {"Ann"}


async def test_a_mail_that_may_be_on_its_way(imports: Imports, outreach: Outreach, services: Services) -> None:
    """A lead that the provider may have mailed stays, though nothing of the lead itself has changed."""
    done = await imports.imported(FILE)
    lead = (await imports.leads())[PEOPLE[0]]
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    await outreach.enroll(sequence_id, lead["id"])
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    (draft,) = (await outreach.get("/drafts"))["items"]
    async with transaction(services.pool, Scope(workspace_id=outreach.workspace_id)) as session:
        request = SendRequest(UUID(draft["id"]), services.clock.now(), uuid4())
        (answer,) = await sending.claim_drafts(session, outreach.workspace_id, [request])
    assert isinstance(answer, Claim)
    assert (await imports.leads())[PEOPLE[0]]["updatedAt"] == lead["updatedAt"]
    undone = await imports.undo(done)
    assert (undone["removedCount"], undone["keptCount"]) == (len(PEOPLE) - 1, 1)
    assert await kept(imports, done) == {PEOPLE[0]: "mailed"}


async def test_mailed_before(imports: Imports, outreach: Outreach) -> None:
    """A known lead that was mailed before the commit, and not since, has its fields back."""
    lead_id = await outreach.add_lead(PEOPLE[0])
    await outreach.enroll(await outreach.add_sequence("One"), lead_id)
    assert len(outreach.mails()) == 1
    done = await imports.imported(FILE, duplicatePolicy="overwrite")
    assert (await imports.leads())[PEOPLE[0]]["firstName"] == "Ann"
    undone = await imports.undo(done)
    assert (undone["restoredCount"], undone["keptCount"]) == (1, 0)
    assert (await imports.leads())[PEOPLE[0]]["firstName"] == "Thandi"


async def test_enrolled_and_not_mailed(imports: Imports, outreach: Outreach) -> None:
    """A new lead whose first mail is still to be approved goes; its enrollment is paused and nothing is sent for it."""
    done = await imports.imported(FILE)
    leads = await imports.leads()
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    await outreach.enroll(sequence_id, *(leads[one]["id"] for one in PEOPLE))
    undone = await imports.undo(done)
    assert (undone["removedCount"], undone["keptCount"]) == (len(PEOPLE), 0)
    enrollments = (await outreach.get("/enrollments"))["items"]
    assert [one["status"] for one in enrollments] == ["paused"] * len(PEOPLE)
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    await outreach.run_jobs()
    assert outreach.mails() == []

"""Bounds and decisions of the service of leads."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.errors import AlreadyExists, Conflict
from api.people.leads import service
from api.people.leads.merging import MAX_CUSTOM_FIELDS, RowStatus
from database.models import DuplicatePolicy
from tests.acting import act_alone, owner_session
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

LEADS, LISTS = "app.leads", "app.lead_lists"
BLANK = {**dict.fromkeys(("first_name", "last_name", "company", "role"), ""), "segment": None, "timezone": None}


@pytest.mark.parametrize(("more", "is_allowed"), [(MAX_CUSTOM_FIELDS - 1, True), (MAX_CUSTOM_FIELDS, False)])
async def test_a_lead_has_so_many_custom_fields_at_most(
    two_workspaces: TwoWorkspaces, more: int, *, is_allowed: bool
) -> None:
    """Fields beside the one that is there are taken up to the limit; one more is refused, and null takes one away."""
    lead_id = two_workspaces.add(LEADS, custom_fields=Jsonb({"kept": 1, "gone": 2}))
    fields = {f"field {number}": number for number in range(more)}
    async with owner_session(two_workspaces) as session:
        lead = await service.lock_lead(session, two_workspaces.id, lead_id)
        values = {"custom_fields": {**fields, "gone": None}}
        if is_allowed:
            changed = await service.change_lead(session, lead, values)
            assert changed.custom_fields == {"kept": 1, **fields}
            assert await service.change_lead(session, changed, {}) is changed
        else:
            with pytest.raises(Conflict, match="at most 200 custom fields"):
                await service.change_lead(session, lead, values)


@pytest.mark.parametrize("deleted_before", [True, False])
async def test_erasure_empties_a_lead(two_workspaces: TwoWorkspaces, *, deleted_before: bool) -> None:
    """An erased lead is deleted from then on, or since it was, and leaves the count of its list if it was live."""
    workspaces = two_workspaces
    list_id = workspaces.add(LISTS, lead_count=3)
    earlier = NOW - timedelta(days=1)
    values: dict[str, Any] = {"list_id": list_id, "first_name": "Ann", "custom_fields": Jsonb({"a": 1})}
    lead_id = workspaces.add(LEADS, **values, deleted_at=earlier if deleted_before else None)

    async def erase(session: AsyncSession) -> None:
        await service.erase_lead(session, await service.lock_lead_or_deleted(session, workspaces.id, lead_id), NOW)

    changed = (await act_alone(workspaces, erase)).after()
    erased: dict[str, Any] = {
        "email": "",
        "first_name": "",
        "custom_fields": {},
        "list_id": None,
        "erased_at": NOW.isoformat(),
    }
    if not deleted_before:
        erased["deleted_at"] = NOW.isoformat()
    assert changed.pop(LEADS) == {str(lead_id): erased}
    assert changed == ({} if deleted_before else {LISTS: {str(list_id): {"lead_count": 2}}})


async def test_lists_are_counted_as_leads_come_and_move(two_workspaces: TwoWorkspaces) -> None:
    """New leads count in their list, a known one moves from list to list, and a list that is not there is invalid."""
    workspaces = two_workspaces
    first, second = (workspaces.add(LISTS, lead_count=5) for _ in range(2))
    workspaces.add(LEADS, email="known@lead.example", list_id=first)
    workspaces.add(LEADS, email="unlisted@lead.example")
    given = [
        ("new@lead.example", first),
        ("nowhere@lead.example", None),
        ("known@lead.example", second),
        ("unlisted@lead.example", second),
        ("stray@lead.example", UUID(int=1)),
    ]
    rows: dict[int, dict[str, Any]] = {
        index: {**BLANK, "email": email, "list_id": list_id, "custom_fields": {}}
        for index, (email, list_id) in enumerate(given)
    }
    acted = await act_alone(
        workspaces, lambda session: service.add_leads(session, workspaces.id, rows, DuplicatePolicy.OVERWRITE)
    )
    created, updated = RowStatus.CREATED, RowStatus.UPDATED
    assert [row.status for row in sorted(acted.result, key=lambda row: row.index)] == [
        created, created, updated, updated, RowStatus.INVALID,
    ]  # fmt: skip
    assert acted.after()[LISTS] == {str(second): {"lead_count": 7}}
    assert {row["email"] for row in acted.after()[LEADS].values() if "email" in row} == {
        "new@lead.example", "nowhere@lead.example",
    }  # fmt: skip


async def test_a_restored_lead_joins_its_list_again(two_workspaces: TwoWorkspaces) -> None:
    """A deleted lead returns to its list, or to none where that is gone; not where it was erased or is taken."""
    workspaces = two_workspaces
    list_id = workspaces.add(LISTS, lead_count=5)
    gone = workspaces.add(LISTS, deleted_at=NOW)
    deleted: dict[str, Any] = {"deleted_at": NOW}
    listed = workspaces.add(LEADS, list_id=list_id, **deleted)
    unlisted = workspaces.add(LEADS, list_id=gone, **deleted)
    live = workspaces.add(LEADS, email="ann@lead.example", list_id=list_id)
    taken = workspaces.add(LEADS, email="ann@lead.example", **deleted)
    erased = workspaces.add(LEADS, email="", erased_at=NOW, **deleted)

    async def restore(session: AsyncSession) -> None:
        for lead_id in (listed, unlisted, live):
            await service.restore_lead(session, workspaces.id, lead_id)

    acted = await act_alone(workspaces, restore)
    assert acted.after() == {
        LEADS: {str(listed): {"deleted_at": None}, str(unlisted): {"deleted_at": None, "list_id": None}},
        LISTS: {str(list_id): {"lead_count": 6}},
    }
    for lead_id, error in ((taken, AlreadyExists), (erased, Conflict)):
        with pytest.raises(error):
            async with owner_session(workspaces) as session:
                await service.restore_lead(session, workspaces.id, lead_id)

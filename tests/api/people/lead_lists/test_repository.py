"""What each statement of lists takes, with rows beside those it is for that differ from them in one column."""

from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.people.lead_lists import repository, service
from tests.acting import FIRST_PAGE, act_alone, owner_session
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

LISTS, LEADS = "app.lead_lists", "app.leads"


class Lists:
    """Two lists of the workspace, one that is deleted, and one of the neighbour."""

    def __init__(self, workspaces: TwoWorkspaces) -> None:
        self.workspaces = workspaces
        self.id, self.other = (workspaces.add(LISTS, lead_count=1) for _ in range(2))
        self.deleted = workspaces.add(LISTS, deleted_at=NOW)
        self.foreign = workspaces.add(LISTS, workspaces.neighbour, lead_count=1)

    @property
    def all(self) -> list[UUID]:
        """The ids of all four."""
        return [self.id, self.other, self.deleted, self.foreign]


@pytest.fixture
def lists(two_workspaces: TwoWorkspaces) -> Lists:
    """Lists beside those that every table's row belongs to."""
    return Lists(two_workspaces)


async def test_only_lists_that_are_there_are_found(lists: Lists) -> None:
    """A list is found by its id, kept and listed in its own workspace while it is not deleted."""
    workspace_id, there = lists.workspaces.id, {lists.id, lists.other}
    async with owner_session(lists.workspaces) as session:
        for lock in (False, True):
            found = [await repository.find_list(session, workspace_id, list_id, lock=lock) for list_id in lists.all]
            assert [row and row.id for row in found] == [lists.id, lists.other, None, None]
        assert await repository.lock_shared(session, workspace_id, [lists.id, lists.deleted, lists.foreign]) == {
            lists.id
        }
        listed = {row.id for row in await repository.list_lists(session, workspace_id, FIRST_PAGE)}
    assert listed == there | {lists.workspaces.ids[LISTS]}


async def test_one_list_is_renamed_counted_and_deleted(lists: Lists) -> None:
    """A new name, a count and a deletion change the list they are for, and no other."""
    workspace_id, key = lists.workspaces.id, str(lists.id)
    renamed = await act_alone(
        lists.workspaces, lambda session: repository.rename_list(session, workspace_id, lists.id, "Renamed")
    )
    assert renamed.after() == {LISTS: {key: {"name": "Renamed"}}}
    counted = await act_alone(
        lists.workspaces,
        lambda session: repository.change_counts(session, workspace_id, {lists.id: 2, lists.foreign: 3}),
    )
    assert counted.after() == {LISTS: {key: {"lead_count": 3}}}
    deleted = await act_alone(lists.workspaces, lambda session: repository.delete_list(session, workspace_id, lists.id))
    (changed,) = deleted.after()[LISTS].values()
    assert set(deleted.after()[LISTS]) == {key}
    assert changed["lead_count"] == 0
    assert changed["deleted_at"] is not None


async def test_leads_leave_one_list(lists: Lists) -> None:
    """The leads of a list leave it; those that are deleted keep it, and those of other lists are not touched."""
    workspaces = lists.workspaces
    leaving = [workspaces.add(LEADS, list_id=lists.id) for _ in range(2)]
    workspaces.add(LEADS, list_id=lists.id, deleted_at=NOW)
    workspaces.add(LEADS, list_id=lists.other)
    workspaces.add(LEADS)
    acted = await act_alone(workspaces, lambda session: repository.detach_leads(session, workspaces.id, lists.id))
    assert acted.after() == {LEADS: {str(lead_id): {"list_id": None} for lead_id in leaving}}


@pytest.mark.parametrize(("lead_count", "is_deleted"), [(0, True), (1, False)])
async def test_only_an_empty_list_is_deleted_as_empty(lists: Lists, lead_count: int, *, is_deleted: bool) -> None:
    """A list without leads is deleted, one with leads is not, and one that is deleted already stays as it is."""
    workspaces = lists.workspaces
    workspaces.set(LISTS, lists.id, lead_count=lead_count)

    async def delete_each(session: AsyncSession) -> None:
        for list_id in (lists.id, lists.deleted):
            await service.delete_if_empty(session, workspaces.id, list_id)

    acted = await act_alone(workspaces, delete_each)
    assert acted.changes.get(LISTS, {}).keys() == ({str(lists.id)} if is_deleted else set())

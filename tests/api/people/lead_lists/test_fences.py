import pytest

from api.people.lead_lists import repository
from tests.overtaking import overtaken, setting
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

LEADS = "app.leads"


@pytest.mark.fences("api.people.lead_lists.repository:detach_leads")
async def test_only_leads_that_are_there_leave_a_list(two_workspaces: TwoWorkspaces) -> None:
    """A list lets its leads go; those that were deleted or went to another list meanwhile stay as they are."""
    workspaces = two_workspaces
    list_id, other_list = (workspaces.add("app.lead_lists") for _ in range(2))
    deleted, moved, staying = (workspaces.add(LEADS, list_id=list_id) for _ in range(3))
    workspaces.add(LEADS, list_id=other_list)
    overtaking = await overtaken(
        workspaces,
        setting(LEADS, {deleted: {"deleted_at": NOW}, moved: {"list_id": other_list}}),
        lambda session: repository.detach_leads(session, workspaces.id, list_id),
    )
    assert overtaking.rows == {LEADS: {staying}}

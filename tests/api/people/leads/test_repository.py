"""What each statement of leads takes, with rows beside those it is for that differ from them in one column."""

from uuid import UUID

import pytest

from api.people.leads import repository
from api.people.leads.schemas import LeadFilter
from database.models import Lead
from domain.lead import LeadEvent
from tests.acting import FIRST_PAGE, act_alone, owner_session
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

LEADS, EVENTS = "app.leads", "app.lead_events"


class Leads:
    """A lead of the workspace, another, one that is deleted, and one of the neighbour; two have one address each."""

    def __init__(self, workspaces: TwoWorkspaces) -> None:
        self.workspaces = workspaces
        self.id, self.other = (workspaces.add(LEADS, email=f"{name}@lead.example") for name in ("ann", "bo"))
        self.deleted = workspaces.add(LEADS, email="cy@lead.example", deleted_at=NOW)
        workspaces.add(LEADS, email="ann@lead.example", deleted_at=NOW)
        self.foreign = workspaces.add(LEADS, workspaces.neighbour, email="ann@lead.example")

    @property
    def all(self) -> list[UUID]:
        """The ids of those that have a name here."""
        return [self.id, self.other, self.deleted, self.foreign]


@pytest.fixture
def leads(two_workspaces: TwoWorkspaces) -> Leads:
    """Leads beside those that every table's row belongs to."""
    return Leads(two_workspaces)


async def test_only_leads_that_are_there_are_found(leads: Leads) -> None:
    """A lead is found by its id, by its address and in the list while it is not deleted, and deleted where asked."""
    workspace_id = leads.workspaces.id
    emails = [f"{name}@lead.example" for name in ("ann", "cy", "missing")]
    async with owner_session(leads.workspaces) as session:
        for lock in (False, True):
            found = [await repository.find_lead(session, workspace_id, one, lock=lock) for one in leads.all]
            assert [row and row.id for row in found] == [leads.id, leads.other, None, None]
            any_state = [
                await repository.find_lead(session, workspace_id, one, lock=lock, deleted=True) for one in leads.all
            ]
            assert [row and row.id for row in any_state] == [leads.id, leads.other, leads.deleted, None]
            by_address = await repository.find_by_address(session, workspace_id, emails, lock=lock)
            assert {email: lead.id for email, lead in by_address.items()} == {"ann@lead.example": leads.id}
        listed = await repository.list_leads(session, workspace_id, FIRST_PAGE, LeadFilter())
    assert {row["id"] for row in listed} == {leads.id, leads.other, leads.workspaces.ids[LEADS]}


async def test_one_lead_is_changed(leads: Leads) -> None:
    """A change, a deletion and a change of many are of the leads that they name, and of no other."""
    workspaces, key = leads.workspaces, str(leads.id)

    changed = await act_alone(
        workspaces,
        lambda session: repository.change_lead(session, Lead(workspace_id=workspaces.id, id=leads.id), {"role": "CEO"}),
    )
    assert changed.after() == {LEADS: {key: {"role": "CEO"}}}
    names = ("first_name", "last_name", "company", "role")
    row = {**dict.fromkeys(names, "New"), "segment": None, "timezone": None, "list_id": None, "custom_fields": {"a": 1}}
    rows = [{**row, "id": leads.id}, {**row, "id": leads.foreign}]
    many = await act_alone(workspaces, lambda session: repository.change_leads(session, workspaces.id, rows))
    assert many.after() == {LEADS: {key: {**dict.fromkeys(names, "New"), "custom_fields": {"a": 1}}}}
    deleted = await act_alone(
        workspaces,
        lambda session: repository.delete_lead(session, Lead(workspace_id=workspaces.id, id=leads.id)),
    )
    assert {table: rows.keys() for table, rows in deleted.after().items()} == {LEADS: {key}}


async def test_only_the_named_leads_move(leads: Leads) -> None:
    """An event moves the leads that are named and may take it, deleted ones too, with one row of history each."""
    workspaces = leads.workspaces
    done = workspaces.add(LEADS, status="Unsubscribed")
    named = [leads.id, leads.deleted, leads.foreign, done]
    acted = await act_alone(
        workspaces,
        lambda session: repository.apply_event(
            session, workspaces.id, named, LeadEvent.UNSUBSCRIBED, cause="test", now=NOW
        ),
    )
    assert sorted(acted.result) == sorted([leads.id, leads.deleted])
    assert acted.after()[LEADS] == {
        str(lead_id): {"status": "Unsubscribed", "last_activity_at": NOW.isoformat()}
        for lead_id in (leads.id, leads.deleted)
    }
    history = {(row["lead_id"], row["from_status"], row["to_status"]) for row in acted.after()[EVENTS].values()}
    assert history == {(str(lead_id), "New", "Unsubscribed") for lead_id in (leads.id, leads.deleted)}

from uuid import UUID

import pytest

from api.people.leads import repository
from domain.lead import LeadEvent, LeadStatus, source_statuses
from tests.overtaking import overtaken, rows_in_each, setting
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

LEADS = "app.leads"


@pytest.mark.fences("api.people.leads.repository:apply_event")
@pytest.mark.parametrize("event", LeadEvent)
async def test_only_leads_the_event_is_legal_for_move(two_workspaces: TwoWorkspaces, event: LeadEvent) -> None:
    """An event moves the leads that may take it still, with one row of history each, and no other."""
    workspaces, sources = two_workspaces, source_statuses(event)
    moved, legal = rows_in_each(lambda status: workspaces.add(LEADS, status=status), "status", sources, LeadStatus)
    foreign = workspaces.add(LEADS, workspaces.neighbour, status=min(sources))
    workspaces.add(LEADS, status=min(sources))  # which is not among them
    ids = [*moved, *legal, foreign]
    overtaking = await overtaken(
        workspaces,
        setting(LEADS, moved),
        lambda session: repository.apply_event(session, workspaces.id, ids, event, cause="test", now=NOW),
    )
    assert set(overtaking.result) == legal
    assert overtaking.rows.keys() == {LEADS, "app.lead_events"}
    assert overtaking.rows[LEADS] == legal
    history = overtaking.changes["app.lead_events"].values()
    assert sorted(UUID(row["lead_id"][1]) for row in history) == sorted(legal)


@pytest.mark.fences("api.people.leads.repository:_ADD_ALL")
async def test_only_addresses_that_no_live_lead_has_are_added(two_workspaces: TwoWorkspaces) -> None:
    """Of many leads, those whose addresses came meanwhile are left out; a deleted lead's address is free."""
    workspaces = two_workspaces
    workspaces.add(LEADS, email="deleted@lead.example", deleted_at=NOW)
    workspaces.add(LEADS, workspaces.neighbour, email="foreign@lead.example")
    emails = [f"{name}@lead.example" for name in ("added", "deleted", "foreign", "free", "restored")]
    restored = workspaces.add(LEADS, email="restored@lead.example", deleted_at=NOW)
    blank = dict.fromkeys(("first_name", "last_name", "company", "role"), "")
    rows = [{"email": email, **blank, "custom_fields": {}} for email in emails]
    overtaking = await overtaken(
        workspaces,
        lambda other: (
            other.execute(
                "INSERT INTO app.leads (workspace_id, email) VALUES (%s, 'added@lead.example')", [workspaces.id]
            ),
            setting(LEADS, {restored: {"deleted_at": None}})(other),
        ),
        lambda session: repository.add_leads(session, workspaces.id, rows),
    )
    assert set(overtaking.result) == {f"{name}@lead.example" for name in ("deleted", "foreign", "free")}
    assert overtaking.rows == {LEADS: set(overtaking.result.values())}

"""Every event in every state of a lead, deleted or not: the move, its history, a suppression, or nothing at all."""

from unittest.mock import ANY
from uuid import UUID

import httpx
import pytest

from api.people.leads import service
from domain.lead import LeadEvent
from tests.api.states import EARLIER, LATER, NOW, Row, States, added, differing, moment
from tests.lifecycles import LEAD, REFUSED, results_of
from tests.tables import Changes

pytestmark = pytest.mark.anyio

MOVES = results_of(LEAD)
STATES = tuple(dict.fromkeys(state for state, _ in MOVES))
CAUSE = "the test"


def expected(states: States, event: str, leads: dict[str, str], cause: str) -> tuple[Changes, list[Row]]:
    """Return what an event changes of leads, given by their states, and the history that it writes."""
    rows, history = {}, []
    for state, lead_id in leads.items():
        if (target := MOVES[state, event]) == REFUSED:
            continue
        before = states.seen["app.leads"][lead_id]
        activity = max(moment(NOW), before["last_activity_at"] or "")
        rows[lead_id] = differing(before, status=target, last_activity_at=activity)
        history.append(
            {
                "id": ANY,
                "created_at": ANY,
                "workspace_id": states.workspace_id,
                "lead_id": lead_id,
                "from_status": state,
                "to_status": target,
                "event": event,
                "cause": cause,
                "occurred_at": moment(NOW),
            }
        )
    return {"app.leads": rows} if rows else {}, history


def check(changed: Changes, expected: tuple[Changes, list[Row]]) -> None:
    """Compare every change with what was expected: the rows, and one row of history for each move."""
    rows, history = expected
    history_written = sorted(added(changed, "lead_events"), key=lambda row: str(row["lead_id"]))
    assert history_written == sorted(history, key=lambda row: str(row["lead_id"]))
    assert {table: moved for table, moved in changed.items() if table != "app.lead_events"} == rows


@pytest.mark.parametrize(
    "values",
    [{}, {"deleted_at": EARLIER}, {"last_activity_at": LATER}],
    ids=["there", "deleted", "heard of later"],
)
async def test_events_move_what_they_may_and_nothing_else(states: States, values: Row) -> None:
    """Each event moves leads as the table says, with one row of history each; the second time nothing is left to do."""
    for event in LeadEvent:
        leads = {state: states.add_lead(f"{event}.{state}@lead.example".lower(), state, **values) for state in STATES}
        ids = [UUID(lead_id) for lead_id in leads.values()]
        states.look()
        moves = expected(states, event.value, leads, CAUSE)
        async with states.session() as session:
            moved = await service.apply_event(session, UUID(states.workspace_id), ids, event, cause=CAUSE, now=NOW)
        assert sorted(map(str, moved)) == sorted(moves[0].get("app.leads", {}))
        check(states.changed(), moves)

        async with states.session() as session:
            # A qualified lead takes no second qualification, and so on: what moved stands where the event is illegal.
            assert (
                await service.apply_event(session, UUID(states.workspace_id), ids, event, cause=CAUSE, now=LATER) == []
            )
        assert states.changed() == {}


async def test_only_leads_that_replied_can_be_qualified(app_client: httpx.AsyncClient, states: States) -> None:
    """From any other state, and for a deleted lead, the answer is a refusal, and no row changes."""
    me = (await app_client.get("/api/me")).json()["user"]["id"]
    leads = {state: states.add_lead(f"{state}@lead.example".lower(), state) for state in STATES}
    deleted = states.add_lead("deleted@lead.example", "Replied", deleted_at=EARLIER)
    states.look()
    for state, lead_id in leads.items():
        moves = expected(states, "qualified", {state: lead_id}, f"user {me}")
        response = await app_client.post(f"/api/workspaces/{states.workspace_id}/leads/{lead_id}/qualify")
        is_legal = state == "Replied"
        assert response.status_code == (200 if is_legal else 409), state
        assert not is_legal or response.json()["status"] == "Qualified"
        check(states.changed(), moves)
    again = await app_client.post(f"/api/workspaces/{states.workspace_id}/leads/{leads['Replied']}/qualify")
    gone = await app_client.post(f"/api/workspaces/{states.workspace_id}/leads/{deleted}/qualify")
    assert (again.status_code, gone.status_code) == (409, 404)
    assert states.changed() == {}


async def test_an_unsubscribe_suppresses_the_address_in_every_state(
    app_client: httpx.AsyncClient, states: States
) -> None:
    """By hand or by an event, from every state: the lead is unsubscribed, its address suppressed; twice is once."""
    me = (await app_client.get("/api/me")).json()["user"]["id"]
    leads = {state: states.add_lead(f"{state}@lead.example".lower(), state) for state in STATES}
    deleted = states.add_lead("deleted@lead.example", "Contacted", deleted_at=EARLIER)
    states.look()
    for state, lead_id in leads.items():
        moves = expected(states, "unsubscribed", {state: lead_id}, f"by {me}")
        for _ in range(2):
            response = await app_client.post(f"/api/workspaces/{states.workspace_id}/leads/{lead_id}/unsubscribe")
            assert response.status_code == 200
            assert (response.json()["status"], response.json()["suppressed"]) == ("Unsubscribed", True)
        changed = states.changed()
        (suppression,) = added(changed, "suppressions")
        facts = ("kind", "value", "reason", "source", "suppressed_at")
        assert [suppression[name] for name in facts] == [
            "email",
            f"{state}@lead.example".lower(),
            "unsubscribed",
            f"by {me}",
            moment(NOW),
        ]
        del changed["app.suppressions"]
        check(changed, moves)

    gone = await app_client.post(f"/api/workspaces/{states.workspace_id}/leads/{deleted}/unsubscribe")
    assert (gone.status_code, states.changed()) == (404, {})
    moves = expected(states, "unsubscribed", {"Contacted": deleted}, CAUSE)
    async with states.session() as session:
        lead_ids = [UUID(deleted)]
        await service.unsubscribe_leads(session, UUID(states.workspace_id), lead_ids, cause=CAUSE, now=NOW)
    changed = states.changed()
    assert [row["value"] for row in added(changed, "suppressions")] == ["deleted@lead.example"]
    del changed["app.suppressions"]
    check(changed, moves)


async def test_deleting_and_restoring_pauses(app_client: httpx.AsyncClient, states: States) -> None:
    """A deleted lead keeps its status and its active enrollments pause; restored, it waits for a user to resume them.

    Neither is possible twice: the second deletion is 404, and the second restoration changes nothing.
    """
    for state in STATES:
        lead_id = states.add_lead(f"{state}@lead.example".lower(), state)
        active = states.add_enrollment(lead_id, states.add_sequence()[0])
        paused = states.add_enrollment(lead_id, states.add_sequence()[0], "paused")
        path = f"/api/workspaces/{states.workspace_id}/leads/{lead_id}"
        etag = (await app_client.get(path)).headers["ETag"]
        states.look()

        assert (await app_client.delete(path, headers={"If-Match": etag})).status_code == 204

        changed = states.changed()
        assert changed.pop("app.leads") == {lead_id: {"deleted_at": (None, ANY), "updated_at": ANY}}
        assert changed.pop("app.lead_enrollments") == {
            active: {
                "status": ("active", "paused"),
                "pause_reason": (None, "the lead was deleted"),
                "updated_at": ANY,
            }
        }
        (moved,) = added(changed, "enrollment_events")
        assert (moved["enrollment_id"], moved["event"]) == (active, "paused")
        assert list(changed) == ["app.enrollment_events"]
        assert (await app_client.delete(path, headers={"If-Match": etag})).status_code == 404
        assert states.changed() == {}

        assert (await app_client.post(f"{path}/restore")).json()["status"] == state
        assert states.changed() == {"app.leads": {lead_id: {"deleted_at": (ANY, None), "updated_at": ANY}}}
        assert (await app_client.post(f"{path}/restore")).status_code == 200
        assert states.changed() == {}
        assert states.row("lead_enrollments", active)["status"] == "paused"
        assert states.row("lead_enrollments", paused)["pause_reason"] == "out_of_office"

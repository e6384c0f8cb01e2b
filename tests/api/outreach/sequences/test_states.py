"""Every event in every state of a sequence: activated, paused by a person or a guard, and leads that would enter."""

from unittest.mock import ANY
from uuid import UUID

import httpx
import pytest

from api.outreach.sequences import service
from tests.api.states import EARLIER, NOW, Row, States, added, differing, moment
from tests.lifecycles import REFUSED, SEQUENCE, results_of
from tests.tables import Changes

pytestmark = pytest.mark.anyio

MOVES = results_of(SEQUENCE)
KINDS: dict[str, Row] = {
    "in draft": {"status": "Draft"},
    "active": {"status": "Active", "activated_at": EARLIER},
    "paused": {"status": "Paused", "activated_at": EARLIER},
    "paused by a guard": {"status": "Paused", "activated_at": EARLIER, "pause_reason": "a guard"},
}


def add_all(states: States, *, steps: int = 1, **values: object) -> dict[str, str]:
    """Make a sequence of each kind."""
    made = {name: states.add_sequence(steps=steps, **{**row, **values})[0] for name, row in KINDS.items()}
    states.look()
    return made


def moved(states: States, sequence_id: str, **after: object) -> Changes:
    """Return what changes when these columns of one sequence do."""
    difference = differing(states.seen["app.sequences"][sequence_id], **after)
    return {"app.sequences": {sequence_id: difference}}


async def test_activating_and_pausing(app_client: httpx.AsyncClient, states: States) -> None:
    """A sequence is activated or paused as the table says; a second time, or from another state, is 409 and no change.

    An activation says when, forgets why it was paused and takes up what waited; a pause by hand has no reason.
    """
    base = f"/api/workspaces/{states.workspace_id}/sequences"
    for action, event in (("activate", "activated"), ("pause", "paused")):
        for name, sequence_id in add_all(states).items():
            target = MOVES[str(KINDS[name]["status"]), event]
            after: Row = {"status": target}
            if event == "activated":
                after |= {"activated_at": moment(NOW), "pause_reason": None}
            expected = {} if target == REFUSED else moved(states, sequence_id, **after)

            response = await app_client.post(f"{base}/{sequence_id}/{action}")

            changed = states.changed()
            jobs = [(job["job_type"], job["payload"], job["run_at"]) for job in added(changed, "scheduled_jobs")]
            changed.pop("app.scheduled_jobs", None)
            assert response.status_code == (409 if target == REFUSED else 200), (name, action)
            assert changed == expected, (name, action)
            is_activated = event == "activated" and target != REFUSED
            assert jobs == [("resume_sends", {"sequenceId": sequence_id}, moment(NOW))] * is_activated
            assert (await app_client.post(f"{base}/{sequence_id}/{action}")).status_code == 409
            assert states.changed() == {}


async def test_what_cannot_be_rendered_is_not_activated(app_client: httpx.AsyncClient, states: States) -> None:
    """Without steps no sequence is activated, whatever its state, and no row changes."""
    for name, sequence_id in add_all(states, steps=0).items():
        response = await app_client.post(f"/api/workspaces/{states.workspace_id}/sequences/{sequence_id}/activate")
        code = "invalid_transition" if name == "active" else "sequence_not_ready"
        assert (response.status_code, response.json()["code"], states.changed()) == (409, code, {}), name


async def test_a_guard_pauses_only_what_is_active(states: States) -> None:
    """A guard's pause says why; where the sequence does not send, nothing changes, the reason included."""
    for name, sequence_id in add_all(states).items():
        expected = moved(states, sequence_id, status="Paused", pause_reason="bounces") if name == "active" else {}
        for _ in range(2):
            async with states.session() as session:
                await service.pause_automatically(session, UUID(states.workspace_id), UUID(sequence_id), "bounces")
        assert states.changed() == expected, name


async def test_only_an_active_sequence_takes_leads(app_client: httpx.AsyncClient, states: States) -> None:
    """Only while it is active a lead is enrolled, once; in every other state, or deleted, no row changes."""
    lead_id = states.add_lead("thandi@lead.example")
    path = f"/api/workspaces/{states.workspace_id}/enrollments"
    sequences = add_all(states)
    deleted = {f"{name}, deleted": sequence_id for name, sequence_id in add_all(states, deleted_at=EARLIER).items()}
    for name, sequence_id in {**sequences, **deleted}.items():
        body = {"sequenceId": sequence_id, "leadIds": [lead_id]}
        response = await app_client.post(path, json=body)
        changed = states.changed()
        if name != "active":
            assert (response.status_code, changed) == (404 if name in deleted else 409, {}), name
            continue
        assert response.json() == {"enrolled": 1, "skipped": {}}
        (enrollment,) = added(changed, "lead_enrollments")
        facts = {"lead_id": lead_id, "sequence_id": sequence_id, "status": "active", "enrolled_at": moment(NOW)}
        assert {column: enrollment[column] for column in facts} == facts
        (draft,) = added(changed, "email_drafts")
        assert (draft["status"], draft["enrollment_id"]) == ("pending", enrollment["id"])
        (job,) = added(changed, "scheduled_jobs")
        assert (job["job_type"], job["payload"]) == ("generate_draft", {"draftId": draft["id"], "actor": ANY})
        assert (await app_client.post(path, json=body)).json() == {"enrolled": 0, "skipped": {"already_enrolled": 1}}
        assert states.changed() == {}

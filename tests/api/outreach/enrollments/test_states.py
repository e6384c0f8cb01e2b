"""Every event in every state of an enrollment: the move, its history, what follows from it, or nothing at all."""

from collections.abc import Callable, Coroutine
from typing import Any
from unittest.mock import ANY
from uuid import UUID

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.outreach.enrollment_status import service as enrollment_status
from domain.enrollment import EnrollmentEvent
from tests.api.states import DRAFTS, LATER, NOW, Row, States, added, differing, moment
from tests.lifecycles import ENROLLMENT, REFUSED, results_of
from tests.tables import Changes

pytestmark = pytest.mark.anyio

MOVES = results_of(ENROLLMENT)
STATES = tuple(dict.fromkeys(state for state, _ in MOVES))
ENDS = {"stopped": "the enrollment was stopped", "unsubscribed": "the lead has unsubscribed"}
"""Events that end an enrollment before its last step, and what they say on what it has not sent."""
PAUSE_REASONS = {"hard_bounced": "hard_bounced", "out_of_office": "out_of_office"}
CAUSE = "the test"


class Enrolled:
    """A lead with an enrollment in each state, each in a sequence of its own and with drafts of every kind."""

    def __init__(self, states: States, email: str) -> None:
        self.states = states
        self.lead_id = states.add_lead(email)
        self.ids: dict[str, str] = {}
        self.sequences: dict[str, str] = {}
        self.drafts: dict[str, list[str]] = {}
        for state in STATES:
            self.sequences[state], steps = states.add_sequence(steps=len(DRAFTS))
            self.ids[state] = states.add_enrollment(self.lead_id, self.sequences[state], state)
            self.drafts[state] = states.add_drafts(self.ids[state], steps)

    def expected(
        self, event: str, *, only: str | None = None, cause: str, pause_reason: str | None, failed: str | None = None
    ) -> tuple[Changes, list[Row]]:
        """Return what an event changes of the enrollments and drafts, and the history that it writes."""
        enrollments, drafts, history = {}, {}, []
        for state in STATES if only is None else (only,):
            target = MOVES[state, event]
            if target == REFUSED:
                continue
            before = self.states.seen["app.lead_enrollments"][self.ids[state]]
            is_final = target in {"completed", "unsubscribed"}
            enrollments[self.ids[state]] = differing(
                before,
                status=target,
                pause_reason=pause_reason if target == "paused" else None,
                resume_at=moment(LATER) if event == "out_of_office" else None,
                completed_at=moment(NOW) if target == "completed" else before["completed_at"],
                next_run_at=None if is_final else before["next_run_at"],
            )
            history.append(
                {
                    "id": ANY,
                    "created_at": ANY,
                    "workspace_id": self.states.workspace_id,
                    "enrollment_id": self.ids[state],
                    "from_status": state,
                    "to_status": target,
                    "event": event,
                    "cause": cause,
                    "occurred_at": moment(NOW),
                }
            )
            if event in ENDS:
                for draft_id, (status, outcome) in zip(self.drafts[state], DRAFTS, strict=True):
                    if status in {"pending", "drafted", "reviewed"} and outcome is None:
                        draft = self.states.seen["app.email_drafts"][draft_id]
                        reason = failed or f"{ENDS[event]}: {cause}"
                        drafts[draft_id] = differing(draft, status="failed", error_reason=reason)
        tables = {"app.lead_enrollments": enrollments, "app.email_drafts": drafts}
        return {table: rows for table, rows in tables.items() if rows}, history


def sorted_by_enrollment(history: list[Row]) -> list[Row]:
    """Return history in one order."""
    return sorted(history, key=lambda row: str(row["enrollment_id"]))


def check(changed: Changes, expected: tuple[Changes, list[Row]]) -> None:
    """Compare every change with what was expected: the rows, and one row of history for each move."""
    rows, history = expected
    assert sorted_by_enrollment(added(changed, "enrollment_events")) == sorted_by_enrollment(history)
    assert {table: moved for table, moved in changed.items() if table != "app.enrollment_events"} == rows


Apply = Callable[[AsyncSession, UUID, Enrolled], Coroutine[Any, Any, object]]


def stop_leads(event: EnrollmentEvent) -> Apply:
    """Let an event that concerns a lead happen to it."""
    resume_at = LATER if event is EnrollmentEvent.OUT_OF_OFFICE else None
    return lambda session, workspace_id, lead: enrollment_status.apply_event_to_leads(
        session, workspace_id, event, [UUID(lead.lead_id)], cause=CAUSE, now=NOW, resume_at=resume_at
    )


def complete(session: AsyncSession, workspace_id: UUID, lead: Enrolled) -> Coroutine[Any, Any, object]:
    """Let the last step of all enrollments have gone out."""
    return enrollment_status.complete_enrollments(
        session, workspace_id, [UUID(enrollment_id) for enrollment_id in lead.ids.values()], NOW
    )


EVENTS: dict[str, Apply] = {
    event.value: stop_leads(event)
    for event in (
        EnrollmentEvent.PAUSED,
        EnrollmentEvent.HARD_BOUNCED,
        EnrollmentEvent.OUT_OF_OFFICE,
        EnrollmentEvent.REPLY_RECEIVED,
        EnrollmentEvent.UNSUBSCRIBED,
        EnrollmentEvent.STOPPED,
    )
} | {"all_steps_done": complete}


async def test_events_of_a_lead_move_what_they_may_and_nothing_else(states: States) -> None:
    """Each event moves the lead's enrollments as the table says, writes one row of history, and is over when repeated.

    What ends fails its unsent drafts; what is being sent, what was sent, and every other lead stay as they are.
    """
    leads = {event: Enrolled(states, f"{event}@lead.example") for event in EVENTS}
    for event, apply in EVENTS.items():
        states.look()
        cause = "last step sent" if event == "all_steps_done" else CAUSE
        pause_reason = PAUSE_REASONS.get(event, cause)
        expected = leads[event].expected(event, cause=cause, pause_reason=pause_reason)
        async with states.session() as session:
            await apply(session, UUID(states.workspace_id), leads[event])
        check(states.changed(), expected)

        async with states.session() as session:
            await apply(session, UUID(states.workspace_id), leads[event])
        assert states.changed() == {}, f"{event} was not over after the first time"


ACTIONS = {"pause": "paused", "resume": "resumed", "stop": "stopped"}


async def test_what_people_do_to_one_enrollment(app_client: httpx.AsyncClient, states: States) -> None:
    """By hand each state is paused, resumed or stopped as the table says; else the answer is 409 and nothing changes.

    What is resumed goes on: a job takes up what waited.
    """
    me = (await app_client.get("/api/me")).json()["user"]["id"]
    for action, event in ACTIONS.items():
        lead = Enrolled(states, f"{action}@lead.example")
        states.look()
        for state in STATES:
            path = f"/api/workspaces/{states.workspace_id}/enrollments/{lead.ids[state]}/{action}"
            expected = lead.expected(event, only=state, cause=f"by user {me}", pause_reason="manual")

            response = await app_client.post(path)

            changed = states.changed()
            if MOVES[state, event] == REFUSED:
                assert (response.status_code, changed) == (409, {}), (state, action)
                continue
            assert (response.status_code, response.json()["status"]) == (200, MOVES[state, event])
            jobs = [(job["job_type"], job["payload"], job["run_at"]) for job in added(changed, "scheduled_jobs")]
            is_resumed = event == "resumed"
            assert jobs == [("resume_sends", {"enrollmentId": lead.ids[state]}, moment(NOW))] * is_resumed
            changed.pop("app.scheduled_jobs", None)
            check(changed, expected)


async def test_what_people_do_to_many_enrollments(app_client: httpx.AsyncClient, states: States) -> None:
    """In bulk the same moves happen, each row says whether it changed, and those that may not move stay as they are."""
    me = (await app_client.get("/api/me")).json()["user"]["id"]
    for action, event in ACTIONS.items():
        lead = Enrolled(states, f"{action}@lead.example")
        states.look()
        expected = lead.expected(event, cause=f"by user {me}: tidy up", pause_reason="manual")
        body = {"action": action, "enrollmentIds": list(lead.ids.values()), "reason": "tidy up"}

        response = await app_client.post(f"/api/workspaces/{states.workspace_id}/enrollments/bulk", json=body)

        assert response.status_code == 200, response.text
        outcomes = {row["enrollmentId"]: (row["outcome"], row["status"]) for row in response.json()["results"]}
        assert outcomes == {
            lead.ids[state]: ("not_possible", state) if target == REFUSED else ("changed", target)
            for state in STATES
            if (target := MOVES[state, event])
        }
        changed = states.changed()
        payloads = [sorted(job["payload"]["enrollmentIds"]) for job in added(changed, "scheduled_jobs")]
        resumed = sorted(lead.ids[state] for state in STATES if MOVES[state, "resumed"] != REFUSED)
        assert payloads == ([resumed] if event == "resumed" else [])
        changed.pop("app.scheduled_jobs", None)
        check(changed, expected)


@pytest.mark.parametrize("status", ["Draft", "Active", "Paused"])
async def test_a_deleted_sequence_ends_its_enrollments(
    app_client: httpx.AsyncClient, states: States, status: str
) -> None:
    """Whatever its status, which it keeps, a deleted sequence stops what lives in it and fails what was not sent.

    It cannot be deleted, paused or activated afterwards.
    """
    me = (await app_client.get("/api/me")).json()["user"]["id"]
    lead = Enrolled(states, "thandi@lead.example")
    for state, sequence_id in lead.sequences.items():
        states.put("sequences", sequence_id, status=status)
        path = f"/api/workspaces/{states.workspace_id}/sequences/{sequence_id}"
        etag = (await app_client.get(path)).headers["ETag"]
        states.look()
        cause = f"sequence deleted by user {me}"
        expected = lead.expected(
            "stopped", only=state, cause=cause, pause_reason=None, failed="the sequence was deleted"
        )

        assert (await app_client.delete(path, headers={"If-Match": etag})).status_code == 204

        changed = states.changed()
        (deleted,) = changed.pop("app.sequences").items()
        assert deleted == (sequence_id, {"deleted_at": (None, ANY), "updated_at": (ANY, ANY)})
        check(changed, expected)
        for response in (
            await app_client.delete(path),
            await app_client.post(f"{path}/pause"),
            await app_client.post(f"{path}/activate"),
        ):
            assert response.status_code == 404
        assert states.changed() == {}

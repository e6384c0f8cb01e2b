"""Tests the effects of each intent on the lead and its enrollments in each state, and on no other."""

from datetime import date, datetime
from unittest.mock import ANY
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from ai.workflows.intent_classification.state import Intent, IntentOutput
from api.inbox.replies import service
from api.outreach.enrollment_status import service as enrollment_status
from database.models import Reply
from domain.enrollment import EnrollmentEvent
from tests.api.states import EARLIER, LATER, NOW, Row, States, added, differing, moment
from tests.lifecycles import ENROLLMENT, LEAD, REFUSED, results_of
from tests.tables import Changes

pytestmark = pytest.mark.anyio

LEADS, ENROLLMENTS = results_of(LEAD), results_of(ENROLLMENT)
LEAD_STATES = tuple(dict.fromkeys(state for state, _ in LEADS))
KINDS: dict[str, Row] = {
    "active": {},
    "paused": {"pause_reason": "out_of_office", "resume_at": LATER},
    "paused by hand": {"pause_reason": "manual", "resume_at": None},
    "paused by a bounce": {"pause_reason": "hard_bounced", "resume_at": None},
    "replied": {},
    "completed": {},
    "unsubscribed": {},
}
"""An enrollment in each status, and paused for each reason."""
BACK_ON = date(2026, 3, 20)
BACK_AT = datetime(2026, 3, 20, tzinfo=ZoneInfo("Africa/Johannesburg"))


def status_of(kind: str) -> str:
    """Return the status of an enrollment of a kind."""
    return kind.partition(" ")[0]


class Answered:
    """A lead with an enrollment of each kind, and a reply to a mail that was sent in the first."""

    def __init__(self, states: States, lead_state: str, email: str) -> None:
        self.states, self.lead_state = states, lead_state
        self.lead_id = states.add_lead(email, lead_state, last_activity_at=NOW)
        self.ids: dict[str, str] = {}
        drafts = []
        for kind, values in KINDS.items():
            sequence_id, (step_id, _) = states.add_sequence(steps=2)
            self.ids[kind] = states.add_enrollment(self.lead_id, sequence_id, status_of(kind), **values)
            drafts.append(states.add_draft(self.ids[kind], step_id, "sent", "accepted"))
        ids = {"lead_id": self.lead_id, "enrollment_id": self.ids["active"], "draft_id": drafts[0]}
        self.reply_id = states.add("replies", message_id=email, from_email=email, received_at=EARLIER, **ids)

    async def read_as(self, intent: Intent, *, is_automatic: bool, back_on: date | None = None) -> None:
        """Apply an intent to the reply, as the worker does."""
        decision = IntentOutput(
            label=intent, confidence=0.9, is_automatic=is_automatic, return_date=back_on, decided_by="rules"
        )
        async with self.states.session() as session:
            reply = await session.get_one(Reply, UUID(self.reply_id))
            await service.apply_classification(session, reply, decision, NOW)

    def moves(self, event: str, pause_reason: str | None = None, resume_at: str | None = None) -> Changes:
        """Return the changes of the lead's enrollments by an event."""
        rows = self.states.seen["app.lead_enrollments"]
        differences = {}
        for kind, enrollment_id in self.ids.items():
            if (target := ENROLLMENTS[status_of(kind), event]) != REFUSED:
                before = rows[enrollment_id]
                next_run_at = None if target == "unsubscribed" else before["next_run_at"]
                after = {"status": target, "pause_reason": pause_reason, "resume_at": resume_at}
                differences[enrollment_id] = differing(before, **after, next_run_at=next_run_at)
        return {"app.lead_enrollments": differences} if differences else {}


def take(changed: Changes, *tables: str) -> dict[str, list[Row]]:
    """Remove the rows that were added to these tables from the changes."""
    taken = {table: added(changed, table) for table in tables}
    for table in tables:
        changed.pop(f"app.{table}", None)
    return taken


async def test_a_personal_reply_stops_the_sequences(states: States) -> None:
    """In each status of the lead: a contacted lead has replied, and its active and paused enrollments stop."""
    for lead_state in LEAD_STATES:
        answered = Answered(states, lead_state, f"{lead_state}@lead.example".lower())
        states.look()
        expected = answered.moves("reply_received")
        target = LEADS[lead_state, "reply_received"]
        for _ in range(2):
            await answered.read_as(Intent.INTERESTED, is_automatic=False)
        changed = states.changed()
        assert list(changed.pop("app.replies")) == [answered.reply_id]
        history = take(changed, "lead_events", "enrollment_events")
        assert changed.pop("app.leads", {}) == (
            {} if target == REFUSED else {answered.lead_id: {"status": (lead_state, target), "updated_at": ANY}}
        )
        assert [row["event"] for row in history["lead_events"]] == ([] if target == REFUSED else ["reply_received"])
        assert {row["cause"] for row in history["enrollment_events"]} == {f"reply {answered.reply_id}"}
        assert len(history["enrollment_events"]) == len(expected["app.lead_enrollments"])
        assert changed == expected, lead_state


async def test_an_unsubscribe_in_each_status(states: States) -> None:
    """A personal or automatic unsubscribe suppresses the address, and unsubscribes lead and live enrollments."""
    for is_automatic in (True, False):
        for lead_state in LEAD_STATES:
            email = f"{lead_state}.{is_automatic}@lead.example".lower()
            answered = Answered(states, lead_state, email)
            states.look()
            expected = answered.moves("unsubscribed")
            await answered.read_as(Intent.UNSUBSCRIBE, is_automatic=is_automatic)
            changed = states.changed()
            taken = take(changed, "lead_events", "enrollment_events", "suppressions")
            assert [row["value"] for row in taken["suppressions"]] == [email]
            is_new = lead_state != "Unsubscribed"
            lead = changed.pop("app.leads", {})
            assert {key: row["status"] for key, row in lead.items()} == (
                {answered.lead_id: (lead_state, "Unsubscribed")} if is_new else {}
            )
            del changed["app.replies"]
            assert changed == expected, (lead_state, is_automatic)


@pytest.mark.parametrize("back_on", [BACK_ON, None], ids=["a day is named", "no day"])
async def test_an_absence_pauses_active_enrollments(states: States, back_on: date | None) -> None:
    """Active enrollments pause, and those that wait for a return get the new date; the rest and the lead do not change.

    A job resumes each on the return date; without a date, after two weeks.
    """
    states.owner.execute("UPDATE app.workspaces SET timezone = 'Africa/Johannesburg'")
    for lead_state in LEAD_STATES:
        answered = Answered(states, lead_state, f"{lead_state}@lead.example".lower())
        states.look()
        resume_at = moment(BACK_AT if back_on else NOW + service.UNKNOWN_ABSENCE)
        expected = answered.moves("out_of_office", "out_of_office", resume_at)
        waiting = answered.ids["paused"]
        before = states.seen["app.lead_enrollments"][waiting]
        expected["app.lead_enrollments"][waiting] = differing(before, resume_at=resume_at)
        for _ in range(2):
            await answered.read_as(Intent.OUT_OF_OFFICE, is_automatic=True, back_on=back_on)
        changed = states.changed()
        taken = take(changed, "enrollment_events", "scheduled_jobs")
        assert [(row["enrollment_id"], row["event"]) for row in taken["enrollment_events"]] == [
            (answered.ids["active"], "out_of_office")
        ]
        jobs = sorted((job["payload"]["enrollmentId"], job["run_at"]) for job in taken["scheduled_jobs"])
        resumed = sorted([answered.ids["active"], waiting])
        assert jobs == [(enrollment_id, resume_at) for enrollment_id in resumed]
        assert {job["job_type"] for job in taken["scheduled_jobs"]} <= {"resume_enrollment"}
        del changed["app.replies"]
        assert changed == expected, lead_state


async def test_other_automatic_replies_have_no_effects(states: States) -> None:
    """An automatic reply that is neither an absence nor an unsubscribe is stored, and nothing else changes."""
    for intent in Intent:
        answered = Answered(states, "Contacted", f"{intent}@lead.example")
        states.look()
        await answered.read_as(intent, is_automatic=True)
        changed = states.changed()
        assert changed.pop("app.replies").keys() == {answered.reply_id}
        assert bool(changed) is (intent in {Intent.OUT_OF_OFFICE, Intent.UNSUBSCRIBE}), intent


async def test_a_return_resumes_only_paused_absences(states: States) -> None:
    """On the return date, enrollments that are paused for an absence resume; earlier, or with another pause, none does.

    A second job of the same return finds nothing to do.
    """
    answered = Answered(states, "Contacted", "thandi@lead.example")
    states.look()

    async def resume(now: datetime) -> None:
        for enrollment_id in [*answered.ids.values(), "018f0000-0000-7000-8000-000000000000"]:
            async with states.session() as session:
                await service.resume_after_absence(session, UUID(states.workspace_id), UUID(enrollment_id), now)

    await resume(NOW)
    assert states.changed() == {}
    waiting = answered.ids["paused"]
    before = states.seen["app.lead_enrollments"][waiting]
    await resume(LATER)
    changed = states.changed()
    taken = take(changed, "enrollment_events", "scheduled_jobs")
    (event,) = taken["enrollment_events"]
    facts = {"enrollment_id": waiting, "event": "resumed", "cause": "back from absence", "occurred_at": moment(LATER)}
    assert {column: event[column] for column in facts} == facts
    assert [(job["job_type"], job["payload"]) for job in taken["scheduled_jobs"]] == [
        ("resume_sends", {"enrollmentId": waiting})
    ]
    resumed = differing(before, status="active", pause_reason=None, resume_at=None)
    assert changed == {"app.lead_enrollments": {waiting: resumed}}
    await resume(LATER)
    assert states.changed() == {}


async def test_a_return_does_not_resume_a_later_pause(states: States) -> None:
    """An enrollment that waited for a return, was resumed and then paused by a user stays paused on that date."""
    sequence_id, _ = states.add_sequence()
    enrollment_id = UUID(states.add_enrollment(states.add_lead("thandi@lead.example"), sequence_id, "paused"))
    workspace_id = UUID(states.workspace_id)
    async with states.session() as session:
        for event in (EnrollmentEvent.RESUMED, EnrollmentEvent.PAUSED):
            moved = await enrollment_status.change_enrollments(
                session, workspace_id, event, ids=[enrollment_id], cause="by hand", now=NOW
            )
            assert moved.ids == {enrollment_id}
    states.look()
    async with states.session() as session:
        await service.resume_after_absence(session, workspace_id, enrollment_id, LATER)
    assert states.changed() == {}

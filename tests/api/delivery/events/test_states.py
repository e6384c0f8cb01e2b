"""What each event of a mail does to a lead and an enrollment in each state, and what it leaves alone."""

from unittest.mock import ANY
from uuid import UUID

import pytest

from api.outreach.enrollment_status import service as enrollment_status
from tests.api.delivery.events.worlds import Provider, pushed
from tests.api.states import NOW, States, added
from tests.lifecycles import ENROLLMENT, LEAD, REFUSED, results_of

pytestmark = pytest.mark.anyio

LEADS, ENROLLMENTS = results_of(LEAD), results_of(ENROLLMENT)
LEAD_STATES = tuple(dict.fromkeys(state for state, _ in LEADS))
ENROLLMENT_STATES = tuple(dict.fromkeys(state for state, _ in ENROLLMENTS))

EVENTS: tuple[tuple[str, dict[str, str], str | None, str | None, str | None], ...] = (
    ("sent", {}, None, None, None),
    ("delivered", {}, None, None, None),
    ("open", {}, None, None, None),
    ("click", {"link": "https://acme.example"}, None, None, None),
    ("failed", {}, None, None, None),
    ("bounce", {"bounce_type": "soft"}, None, None, None),
    ("bounce", {"bounce_type": "hard"}, None, "hard_bounced", "hard_bounce"),
    ("unsubscribe", {}, "unsubscribed", "unsubscribed", "unsubscribed"),
    ("complaint", {}, "unsubscribed", "unsubscribed", "complaint"),
)
"""Types and their data: the event of the lead, the event of its enrollments, and the reason of its suppression."""
WRITTEN_BESIDE = {
    "app.lead_events",
    "app.enrollment_events",
    "app.suppressions",
    "app.email_events",
    "app.scheduled_jobs",
    "everlytic.webhook_deliveries",
}
"""Tables to which an event adds its records."""


async def test_an_event_in_every_state(provider: Provider, states: States) -> None:
    """A hard bounce suppresses and pauses, an unsubscribe or a complaint is permanent, no other event moves a lead.

    This holds in each state of the lead and of its enrollments. Reported again, the event changes nothing.
    """
    states.owner.execute("UPDATE app.workspaces SET max_bounce_rate = NULL, max_complaint_rate = NULL")
    for number, (type_, data, lead_event, enrollment_event, suppression) in enumerate(EVENTS):
        emails = {state: f"{state}.{number}@lead.example".lower() for state in LEAD_STATES}
        leads = {state: states.add_lead(email, state, last_activity_at=NOW) for state, email in emails.items()}
        enrollments, mails = {}, {}
        for lead_state, lead_id in leads.items():
            for state in ENROLLMENT_STATES:
                sequence_id, (step_id,) = states.add_sequence()
                enrollments[lead_state, state] = states.add_enrollment(lead_id, sequence_id, state)
                mails[lead_state] = states.add_draft(enrollments[lead_state, state], step_id, "sent", "accepted")
        states.look()
        for _ in range(2):
            await provider.push(*[pushed(type_, UUID(mail), 600, **data) for mail in mails.values()])
            await provider.apply()

        changed = states.changed()
        moved_leads = {
            state: LEADS[state, lead_event]
            for state in LEAD_STATES
            if lead_event and LEADS[state, lead_event] != REFUSED
        }
        assert changed.pop("app.leads", {}) == {
            leads[state]: {"status": (state, target), "updated_at": ANY} for state, target in moved_leads.items()
        }
        assert {
            row["lead_id"]: (row["from_status"], row["to_status"], row["event"])
            for row in added(changed, "lead_events")
        } == {leads[state]: (state, target, lead_event) for state, target in moved_leads.items()}
        assert len(added(changed, "lead_events")) == len(moved_leads)
        moved = {
            (lead_state, state): ENROLLMENTS[state, enrollment_event]
            for lead_state, state in enrollments
            if enrollment_event and ENROLLMENTS[state, enrollment_event] != REFUSED
        }
        statuses = {key: row["status"] for key, row in changed.pop("app.lead_enrollments", {}).items()}
        assert statuses == {enrollments[key]: (key[1], target) for key, target in moved.items()}
        history = sorted((row["enrollment_id"], row["event"]) for row in added(changed, "enrollment_events"))
        assert history == sorted((enrollments[key], enrollment_event) for key in moved)
        suppressed = {row["value"]: row["reason"] for row in added(changed, "suppressions")}
        assert suppressed == (dict.fromkeys(emails.values(), suppression) if suppression else {})
        assert len(added(changed, "email_events")) == len(mails)
        assert set(changed) <= WRITTEN_BESIDE


async def test_an_event_that_is_stored_acts_no_more(provider: Provider, states: States) -> None:
    """A bounce that is told again does nothing once people have lifted its suppression and resumed the enrollment."""
    lead_id = states.add_lead("thandi@lead.example", last_activity_at=NOW)
    sequence_id, (step_id,) = states.add_sequence()
    enrollment_id = states.add_enrollment(lead_id, sequence_id)
    draft_id = UUID(states.add_draft(enrollment_id, step_id, "sent", "accepted"))
    bounce = pushed("bounce", draft_id, 600, bounce_type="hard")
    await provider.push(bounce)
    await provider.apply()
    assert states.row("lead_enrollments", enrollment_id)["status"] == "paused"
    states.owner.execute("DELETE FROM app.suppressions")
    async with states.session() as session:
        await enrollment_status.resume_enrollment(
            session, UUID(states.workspace_id), UUID(enrollment_id), cause="by hand", now=NOW
        )

    states.look()
    await provider.push(bounce)
    await provider.apply()
    assert set(states.changed()) == {"everlytic.webhook_deliveries"}

"""What people and the writer may do to a draft in each status, with and without an attempt to send it."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import ANY
from uuid import UUID

import httpx
import pytest

from ai.usage import Generation
from ai.workflows.email_generation.state import DraftFailed, EmailDraft, EmailGenerationOutput
from api.outreach.drafts import service
from api.outreach.drafts.repository import Material
from api.outreach.drafts.service import WrittenDraft
from database.models import EmailDraft as DraftRow
from database.models import Lead, Sequence, SequenceStep, Workspace
from tests.api.states import LATER, NOW, Row, States, added, differing, moment
from tests.lifecycles import DRAFT_BEFORE_IT_IS_SENT, REFUSED, results_of

pytestmark = pytest.mark.anyio

MOVES = results_of(DRAFT_BEFORE_IT_IS_SENT)
OUTCOMES = ("claimed", "unknown", "accepted", "rejected")
REFUSED_MAIL = ("failed", "rejected")
KINDS = [
    *[(status, None) for status in ("pending", "drafted", "reviewed", "failed", "sent")],
    *[(status, outcome) for status in ("drafted", "reviewed", "failed", "sent") for outcome in OUTCOMES],
]
"""Each status, and with an attempt each that may have one."""


class Drafts:
    """A draft of each kind, all of one active enrollment or of one in another status."""

    def __init__(self, states: States, status: str = "active", lead: str = "Contacted") -> None:
        self.states = states
        self.sequence_id, self.steps = states.add_sequence(steps=len(KINDS))
        self.lead_id = states.add_lead(f"{self.sequence_id}@lead.example", lead)
        self.enrollment_id = states.add_enrollment(self.lead_id, self.sequence_id, status)
        self.ids = {
            kind: states.add_draft(self.enrollment_id, step_id, *kind)
            for kind, step_id in zip(KINDS, self.steps, strict=True)
        }

    def moved(self, event: str) -> Iterator[tuple[str, str, Row]]:
        """Yield of each draft that the event is legal for: its id, its next status, and itself as it was."""
        for (status, outcome), draft_id in self.ids.items():
            is_corrected = (status, outcome, event) == ("failed", "rejected", "regenerated")
            if (outcome is None or is_corrected) and MOVES[status, event] != REFUSED:
                yield draft_id, MOVES[status, event], self.states.seen["app.email_drafts"][draft_id]


def jobs_of(changed: dict[str, Any]) -> list[tuple[str, Row, str]]:
    """Take the jobs that were put on the queue out of what has changed: their types, payloads and times."""
    jobs = added(changed, "scheduled_jobs")
    changed.pop("app.scheduled_jobs", None)
    return sorted(
        ((job["job_type"], job["payload"], job["run_at"]) for job in jobs), key=lambda job: str(job[1]["draftId"])
    )


BODIES: dict[str, Row | None] = {"approve": None, "reject": {"reason": "too long"}, "regenerate": None}
EVENTS = {"approve": "approved", "reject": "rejected", "regenerate": "regenerated"}


async def test_what_people_do_to_drafts(app_client: httpx.AsyncClient, states: States) -> None:
    """A draft is approved, rejected or written again as the table says; one with an attempt only if it was refused.

    A refusal is 409 and changes nothing; what is approved gets its send, what is written again gets its writer.
    """
    me = (await app_client.get("/api/me")).json()["user"]["id"]
    for action, body in BODIES.items():
        drafts = Drafts(states)
        states.put("email_drafts", drafts.ids["drafted", None], send_at=LATER)
        states.look()
        moves = {draft_id: (target, row) for draft_id, target, row in drafts.moved(EVENTS[action])}
        for (status, outcome), draft_id in drafts.ids.items():
            if action == "approve" and status == "drafted" and outcome is not None:
                continue  # What has an attempt cannot come to wait for review again.
            path = f"/api/workspaces/{states.workspace_id}/drafts/{draft_id}/{action}"
            response = await app_client.post(path, json=body)
            assert response.status_code == (200 if draft_id in moves else 409), (action, draft_id)
            again = await app_client.post(path, json=body)
            assert again.status_code == 409, f"{action} was possible twice"

        changed = states.changed()
        jobs = jobs_of(changed)
        reason = "rejected: too long" if action == "reject" else None
        assert changed.pop("app.email_drafts") == {
            draft_id: differing(row, status=target, error_reason=reason) for draft_id, (target, row) in moves.items()
        }
        # The attempt of the mail that the provider refused is deleted, so that the new text can be sent.
        assert len(changed.pop("app.send_attempts", {})) == (action == "regenerate")
        assert changed == {}
        assert (
            jobs
            == {
                "approve": [("send_email", {"draftId": draft_id}, moment(LATER)) for draft_id in sorted(moves)],
                "reject": [],
                "regenerate": [
                    ("generate_draft", {"draftId": draft_id, "actor": me}, moment(NOW)) for draft_id in sorted(moves)
                ],
            }[action]
        )


async def test_only_a_text_that_is_not_being_sent_can_be_edited(app_client: httpx.AsyncClient, states: States) -> None:
    """A drafted or reviewed text is edited and keeps its status and what was written first; all others answer 409.

    A failed one whose mail the provider refused is edited too, and waits for review then, without its attempt.
    """
    drafts = Drafts(states)
    states.look()
    for (status, outcome), draft_id in drafts.ids.items():
        is_editable = (status in {"drafted", "reviewed"} and outcome is None) or (status, outcome) == REFUSED_MAIL
        path = f"/api/workspaces/{states.workspace_id}/drafts/{draft_id}"
        for subject in ("First", "Second"):
            etag = (await app_client.get(path)).headers["ETag"]
            response = await app_client.patch(path, json={"subject": subject}, headers={"If-Match": etag})
            assert response.status_code == (200 if is_editable else 409), (status, outcome)
    edited = {"subject": ("Hello", "Second"), "written": (None, {"subject": "Hello", "body": "Hello"})}
    changed = states.changed()
    corrected = changed["app.email_drafts"].pop(drafts.ids[REFUSED_MAIL])
    assert (corrected["status"], corrected["subject"]) == (("failed", "drafted"), ("Hello", "Second"))
    assert len(changed.pop("app.send_attempts")) == 1
    assert changed == {
        "app.email_drafts": {
            drafts.ids[status, None]: {**edited, "updated_at": ANY} for status in ("drafted", "reviewed")
        }
    }


@pytest.mark.parametrize("event", ["written", "written_and_approved", "writing_failed"])
async def test_only_a_pending_draft_takes_what_was_written(states: States, event: str) -> None:
    """A text, or the failure to write it, that comes when the draft is not pending any more changes nothing."""
    drafts = Drafts(states)
    states.put("sequences", drafts.sequence_id, auto_approve=event == "written_and_approved")
    output: EmailGenerationOutput = EmailDraft(
        subject="New", text="New text", html="<p>New text</p>", generation=Generation()
    )
    if event == "writing_failed":
        output = DraftFailed(reasons=["no name", "no link"], generation=Generation())
    states.look()
    expected = {}
    for draft_id, target, row in drafts.moved(event):
        text = {"subject": "New", "body": "New text", "body_html": "<p>New text</p>"}
        if event == "writing_failed":
            text = {"error_reason": "no name; no link"}
        expected[draft_id] = differing(row, status=target, **text) | {
            "generation": (None, ANY),
            "template_version": (None, ANY),
        }
    for _ in range(2):
        async with states.session() as session:
            written = [
                WrittenDraft(
                    Material(
                        draft=await session.get_one(DraftRow, UUID(draft_id)),
                        step=await session.get_one(SequenceStep, UUID(drafts.steps[0])),
                        lead=await session.get_one(Lead, UUID(drafts.lead_id)),
                        sequence=await session.get_one(Sequence, UUID(drafts.sequence_id)),
                        workspace=await session.get_one(Workspace, UUID(states.workspace_id)),
                    ),
                    output,
                    NOW,
                )
                for draft_id in drafts.ids.values()
            ]
        async with states.session() as session:
            await service.store_drafts(session, UUID(states.workspace_id), written)
    changed = states.changed()
    sends = [("send_email", {"draftId": draft_id}, moment(NOW)) for draft_id in expected]
    assert jobs_of(changed) == (sends if event == "written_and_approved" else [])
    assert changed == {"app.email_drafts": expected}


@pytest.mark.parametrize(
    ("enrollment", "lead", "reason"),
    [
        ("completed", "Contacted", "the enrollment is completed"),
        ("unsubscribed", "Contacted", "the enrollment is unsubscribed"),
        ("active", "Unsubscribed", "the lead has unsubscribed"),
    ],
)
async def test_what_can_never_be_sent_is_neither_approved_nor_written_again(
    app_client: httpx.AsyncClient, states: States, enrollment: str, lead: str, reason: str
) -> None:
    """The refusal names the reason, by id and in bulk, and no row changes."""
    drafts = Drafts(states, enrollment, lead)
    base = f"/api/workspaces/{states.workspace_id}/drafts"
    states.look()
    approved = await app_client.post(f"{base}/{drafts.ids['drafted', None]}/approve")
    regenerated = [
        await app_client.post(f"{base}/{drafts.ids[status, None]}/regenerate") for status in ("drafted", "failed")
    ]
    for response in (approved, *regenerated):
        assert (response.status_code, response.json()["detail"]) == (409, f"This draft can never be sent: {reason}.")
    in_bulk = await app_client.post(f"{base}/approve", json={"draftIds": [drafts.ids["drafted", None]]})
    assert [row["status"] for row in in_bulk.json()["results"]] == ["refused"]
    assert states.changed() == {}


@pytest.mark.parametrize("enrollment", ["active", "paused", "replied"])
async def test_a_draft_of_a_live_enrollment_can_be_approved(
    app_client: httpx.AsyncClient, states: States, enrollment: str
) -> None:
    """A pause and a reply keep the mail from leaving, not from being reviewed: its enrollment may be resumed."""
    drafts = Drafts(states, enrollment)
    states.look()
    path = f"/api/workspaces/{states.workspace_id}/drafts/{drafts.ids['drafted', None]}/approve"
    assert (await app_client.post(path)).json()["status"] == "reviewed"
    changed = states.changed()
    assert [job[0] for job in jobs_of(changed)] == ["send_email"]
    assert list(changed) == ["app.email_drafts"]

"""What a reply is an answer to, and what its intent makes us do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from ai.workflows.intent_classification.state import Intent, IntentInput, IntentOutput
from api.accounts.workspaces import service as workspaces
from api.delivery.sending import service as sending
from api.delivery.sending.service import Acceptance
from api.http.errors import NotFound
from api.http.pagination import PageRequest
from api.inbox.replies import repository
from api.inbox.replies.schemas import ReplyFilter
from api.outreach.enrollment_status import service as enrollment_status
from api.people.leads import service as leads
from database import jobs
from database.models import Reply
from domain.enrollment import EnrollmentEvent
from domain.lead import LeadEvent

CLASSIFY_REPLY = "classify_reply"
RESUME_ENROLLMENT = "resume_enrollment"
SCORE_REPLY = "score_reply"
PERSON = "person"


async def find_reply_to_classify(
    session: AsyncSession, workspace_id: UUID, reply_id: UUID
) -> tuple[Reply, IntentInput] | None:
    """Return a reply that nobody has decided yet, as the workflow takes it."""
    reply = await repository.find_reply(session, workspace_id, reply_id)
    if reply is None or reply.intent is not None:
        return None
    headers = [(str(header["name"]), str(header["value"])) for header in reply.headers]
    return reply, IntentInput(headers=headers, subject=reply.subject, text=reply.text, received_at=reply.received_at)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a reply is taken for, whoever says so."""

    intent: Intent
    is_automatic: bool
    return_date: date | None


async def apply_decision(session: AsyncSession, reply: Reply, decision: IntentOutput, now: datetime) -> None:
    """Store what a reply means, and act; where a person was faster, theirs stands."""
    values = {
        "intent": decision.label,
        "is_automatic": decision.is_automatic,
        "confidence": decision.confidence,
        "decided_by": decision.decided_by,
        "return_date": decision.return_date,
        "needs_review": decision.abstained,
        "generation": decision.generation.model_dump(mode="json"),
    }
    if not await repository.store_decision(session, reply.id, values, anew=False):
        return
    await _act(session, reply, Meaning(decision.label, decision.is_automatic, decision.return_date), now)


async def correct_reply(
    session: AsyncSession, workspace_id: UUID, reply_id: UUID, meaning: Meaning, *, by: UUID, now: datetime
) -> Row[Any]:
    """Store what a person says that a reply means, whatever was made of it before, and act; raises NotFound.

    What an answer had stopped and no person wrote goes on. A suppression stays: it is lifted where suppressions are.
    """
    reply = await repository.lock_reply(session, workspace_id, reply_id)
    if reply is None:
        raise NotFound("There is no such reply.")
    said = {"intent": meaning.intent, "is_automatic": meaning.is_automatic, "return_date": meaning.return_date}
    await repository.add_correction(session, reply, {**said, "corrected_by": str(by), "corrected_at": now})
    was_right = reply.intent == meaning.intent and reply.is_automatic == meaning.is_automatic
    if reply.generation and reply.generation.get("trace_id") and reply.decided_by != PERSON:
        score = jobs.Job(now, {"replyId": str(reply.id), "right": was_right})
        await jobs.enqueue(session, SCORE_REPLY, workspace_id, [score])
    was_by_person = reply.is_automatic is False
    values = {**said, "confidence": 1.0, "decided_by": PERSON, "needs_review": False}
    await repository.store_decision(session, reply.id, values, anew=True)
    if meaning.is_automatic and was_by_person:
        await _revert_decision(session, reply, now)
    await _act(session, reply, meaning, now)
    return await get_reply(session, workspace_id, reply_id)


async def _act(session: AsyncSession, reply: Reply, meaning: Meaning, now: datetime) -> None:
    """Let a no be for good, an absence pause, and a person's answer stop the sequence."""
    if reply.lead_id is None or reply.draft_id is None:
        return
    lead_ids, cause = [reply.lead_id], _cause(reply)
    if meaning.intent is Intent.OUT_OF_OFFICE and meaning.is_automatic:
        await _pause(session, reply.workspace_id, lead_ids, meaning.return_date, cause=cause, now=now)
    if not meaning.is_automatic:
        # An answer proves that the message arrived, even where the provider has not said so yet.
        await sending.record_acceptances(session, reply.workspace_id, [Acceptance(reply.draft_id, None, now)])
        await leads.apply_event(session, reply.workspace_id, lead_ids, LeadEvent.REPLY_RECEIVED, cause=cause, now=now)
        event = EnrollmentEvent.REPLY_RECEIVED
        await enrollment_status.apply_event_to_leads(session, reply.workspace_id, event, lead_ids, cause=cause, now=now)
    if meaning.intent is Intent.UNSUBSCRIBE:
        await leads.unsubscribe_leads(session, reply.workspace_id, lead_ids, cause=cause, now=now)


def _cause(reply: Reply) -> str:
    return f"reply {reply.id}"


async def _pause(
    session: AsyncSession,
    workspace_id: UUID,
    lead_ids: Sequence[UUID],
    back_on: date | None,
    *,
    cause: str,
    now: datetime,
) -> None:
    """Pause all that goes out to people until the day they are back, or until somebody resumes it."""
    resume_at = await _start_of(session, workspace_id, back_on) if back_on is not None else None
    event = EnrollmentEvent.OUT_OF_OFFICE
    paused = await enrollment_status.defer_resume(session, workspace_id, lead_ids, resume_at)
    paused += await enrollment_status.apply_event_to_leads(
        session, workspace_id, event, lead_ids, cause=cause, now=now, resume_at=resume_at
    )
    if resume_at is not None:
        back = [jobs.Job(resume_at, {"enrollmentId": str(enrollment_id)}) for enrollment_id in paused]
        await jobs.enqueue(session, RESUME_ENROLLMENT, workspace_id, back)


async def _revert_decision(session: AsyncSession, reply: Reply, now: datetime) -> None:
    """Let go on what a reply had stopped that no person wrote, unless a person answered besides."""
    if reply.lead_id is None or await repository.has_other_reply(session, reply):
        return
    stopped = await enrollment_status.list_stopped_by(session, reply.workspace_id, reply.lead_id, _cause(reply))
    if stopped:
        cause = f"{_cause(reply)} was automatic"
        await enrollment_status.change_enrollments(
            session, reply.workspace_id, EnrollmentEvent.RESUMED, ids=stopped, cause=cause, now=now
        )


async def _start_of(session: AsyncSession, workspace_id: UUID, day: date) -> datetime:
    """Return when a day begins in the workspace's zone."""
    workspace = await workspaces.find_workspace(session, workspace_id)
    return datetime.combine(day, time(0), ZoneInfo(workspace.timezone)).astimezone(UTC)


async def resume_after_absence(session: AsyncSession, workspace_id: UUID, enrollment_id: UUID, now: datetime) -> None:
    """Resume an enrollment that waits for somebody's return, if that is still what it waits for, and is over."""
    try:
        enrollment = await enrollment_status.get_enrollment(session, workspace_id, enrollment_id)
    except NotFound:
        return
    # Only an absence sets a time to resume, and every later move of the enrollment clears it.
    if enrollment.resume_at is not None and enrollment.resume_at <= now:
        await enrollment_status.resume_enrollment(
            session, workspace_id, enrollment_id, cause="back from absence", now=now
        )


async def find_trace(session: AsyncSession, workspace_id: UUID, reply_id: UUID) -> str | None:
    """Return the trace of the run that read a reply, if it is still there and left one."""
    reply = await repository.find_reply(session, workspace_id, reply_id)
    return reply.generation.get("trace_id") if reply is not None and reply.generation else None


async def list_corrections(session: AsyncSession, workspace_id: UUID, page: PageRequest) -> Sequence[Row[Any]]:
    """Return what people said that replies mean, with their words, newest first, one more than the page holds."""
    return await repository.list_corrections(session, workspace_id, page)


async def list_replies(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, wanted: ReplyFilter
) -> Sequence[Row[Any]]:
    """Return the workspace's replies in the page's order, one more than it holds."""
    return await repository.list_replies(session, workspace_id, page, wanted)


async def get_reply(session: AsyncSession, workspace_id: UUID, reply_id: UUID) -> Row[Any]:
    """Return a reply; raises NotFound."""
    reply = await repository.find_shown_reply(session, workspace_id, reply_id)
    if reply is None:
        raise NotFound("There is no such reply.")
    return reply

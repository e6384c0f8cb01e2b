"""Stores the intent of a reply, and applies its effects to the lead and its enrollments."""

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
from api.delivery.recipients import service as recipients
from api.delivery.sending import service as sending
from api.delivery.sending.service import Acceptance
from api.http.errors import NotFound, or_404
from api.http.pagination import PageRequest
from api.inbox.replies import repository
from api.inbox.replies.schemas import ReplyFilter
from api.outreach.enrollment_status import service as enrollment_status
from api.people.leads import service as leads
from database import jobs
from database.models import Reply
from domain.enrollment import EnrollmentEvent
from domain.lead import LeadEvent
from domain.suppression import SuppressionReason
from email_text.conversion import to_text

CLASSIFY_REPLY = "classify_reply"
RESUME_ENROLLMENT = "resume_enrollment"
SCORE_REPLY = "score_reply"
PERSON = "person"
NO_SUCH_REPLY = "There is no such reply."


async def find_reply_to_classify(
    session: AsyncSession, workspace_id: UUID, reply_id: UUID
) -> tuple[Reply, IntentInput] | None:
    """Return a reply without an intent, and the input of the workflow with the mail that it answers."""
    reply = await repository.find_reply(session, workspace_id, reply_id)
    if reply is None or reply.intent is not None:
        return None
    headers = [(str(header["name"]), str(header["value"])) for header in reply.headers]
    sent = await repository.find_answered_draft(session, reply)
    return reply, IntentInput(
        headers=headers,
        subject=reply.subject,
        text=reply.text,
        sent_subject=sent.subject if sent else "",
        sent_text=(sent.body or to_text(sent.body_html)) if sent else "",
        received_at=reply.received_at,
    )


@dataclass(frozen=True, slots=True)
class Decision:
    """The intent of a reply, by a workflow or a user."""

    intent: Intent
    is_automatic: bool
    return_date: date | None


async def apply_classification(session: AsyncSession, reply: Reply, output: IntentOutput, now: datetime) -> None:
    """Store the intent that the workflow returned, and apply its effects; an intent that a user has set stays."""
    values = {
        "intent": output.label,
        "is_automatic": output.is_automatic,
        "confidence": output.confidence,
        "decided_by": output.decided_by,
        "return_date": output.return_date,
        "needs_review": output.abstained or output.needs_review,
        "generation": output.generation.model_dump(mode="json"),
    }
    if not await repository.store_decision(session, reply.id, values, overwrite=False):
        return
    await _apply_effects(session, reply, Decision(output.label, output.is_automatic, output.return_date), now)


async def correct_reply(
    session: AsyncSession, workspace_id: UUID, reply_id: UUID, decision: Decision, *, by: UUID, now: datetime
) -> Row[Any]:
    """Store the intent that a user has set, and apply its effects; raises NotFound.

    If the reply is automatic after all, the enrollments that it has stopped are resumed. A suppression stays; users
    remove it from the list of suppressions.
    """
    reply = or_404(await repository.lock_reply(session, workspace_id, reply_id), NO_SUCH_REPLY)
    corrected = {"intent": decision.intent, "is_automatic": decision.is_automatic, "return_date": decision.return_date}
    await repository.add_correction(session, reply, {**corrected, "corrected_by": str(by), "corrected_at": now})
    was_right = reply.intent == decision.intent and reply.is_automatic == decision.is_automatic
    if reply.generation and reply.generation.get("trace_id") and reply.decided_by != PERSON:
        score = jobs.Job(now, {"replyId": str(reply.id), "right": was_right})
        await jobs.enqueue(session, SCORE_REPLY, workspace_id, [score])
    was_by_person = reply.is_automatic is False
    values = {**corrected, "confidence": 1.0, "decided_by": PERSON, "needs_review": False}
    await repository.store_decision(session, reply.id, values, overwrite=True)
    if decision.is_automatic and was_by_person:
        await _revert_decision(session, reply, now)
    await _apply_effects(session, reply, decision, now)
    return await get_reply(session, workspace_id, reply_id)


async def _apply_effects(session: AsyncSession, reply: Reply, decision: Decision, now: datetime) -> None:
    """Unsubscribe the lead, pause its enrollments, or stop them, by the intent."""
    if reply.lead_id is None or reply.draft_id is None:
        return
    lead_ids, cause = [reply.lead_id], _format_cause(reply)
    if decision.intent is Intent.OUT_OF_OFFICE and decision.is_automatic:
        await _pause_enrollments(session, reply.workspace_id, lead_ids, decision.return_date, cause=cause, now=now)
    if not decision.is_automatic:
        # A reply proves that the mail was accepted, even if the provider has not confirmed it yet.
        await sending.record_acceptances(session, reply.workspace_id, [Acceptance(reply.draft_id, None, now)])
        await leads.apply_event(session, reply.workspace_id, lead_ids, LeadEvent.REPLY_RECEIVED, cause=cause, now=now)
        event = EnrollmentEvent.REPLY_RECEIVED
        await enrollment_status.apply_event_to_leads(session, reply.workspace_id, event, lead_ids, cause=cause, now=now)
    if decision.intent is Intent.UNSUBSCRIBE:
        reason = SuppressionReason.UNSUBSCRIBED
        await recipients.stop_recipients(
            session, reply.workspace_id, [reply.draft_id], reason=reason, cause=cause, now=now
        )


def _format_cause(reply: Reply) -> str:
    return f"reply {reply.id}"


async def _pause_enrollments(
    session: AsyncSession,
    workspace_id: UUID,
    lead_ids: Sequence[UUID],
    return_date: date | None,
    *,
    cause: str,
    now: datetime,
) -> None:
    """Pause the enrollments of leads until the return date, or until a user resumes them."""
    resume_at = await _compute_start(session, workspace_id, return_date) if return_date is not None else None
    event = EnrollmentEvent.OUT_OF_OFFICE
    paused = await enrollment_status.defer_resume(session, workspace_id, lead_ids, resume_at)
    paused += await enrollment_status.apply_event_to_leads(
        session, workspace_id, event, lead_ids, cause=cause, now=now, resume_at=resume_at
    )
    if resume_at is not None:
        resume_jobs = [jobs.Job(resume_at, {"enrollmentId": str(enrollment_id)}) for enrollment_id in paused]
        await jobs.enqueue(session, RESUME_ENROLLMENT, workspace_id, resume_jobs)


async def _revert_decision(session: AsyncSession, reply: Reply, now: datetime) -> None:
    """Resume the enrollments that an automatic reply has stopped, unless the lead has sent another reply."""
    if reply.lead_id is None or await repository.has_other_reply(session, reply):
        return
    stopped = await enrollment_status.list_stopped_by(session, reply.workspace_id, reply.lead_id, _format_cause(reply))
    if stopped:
        cause = f"{_format_cause(reply)} was automatic"
        await enrollment_status.change_enrollments(
            session, reply.workspace_id, EnrollmentEvent.RESUMED, ids=stopped, cause=cause, now=now
        )


async def _compute_start(session: AsyncSession, workspace_id: UUID, day: date) -> datetime:
    """Return the start of a day in the workspace's time zone, in UTC."""
    workspace = await workspaces.find_workspace(session, workspace_id)
    return datetime.combine(day, time(0), ZoneInfo(workspace.timezone)).astimezone(UTC)


async def resume_after_absence(session: AsyncSession, workspace_id: UUID, enrollment_id: UUID, now: datetime) -> None:
    """Resume an enrollment that is paused for an absence, if its time to resume has come."""
    try:
        enrollment = await enrollment_status.get_enrollment(session, workspace_id, enrollment_id)
    except NotFound:
        return
    # Only an absence sets a time to resume, and every later transition of the enrollment clears it.
    if enrollment.resume_at is not None and enrollment.resume_at <= now:
        await enrollment_status.resume_enrollment(
            session, workspace_id, enrollment_id, cause="back from absence", now=now
        )


async def find_trace(session: AsyncSession, workspace_id: UUID, reply_id: UUID) -> str | None:
    """Return the trace of the run that classified a reply, if there is one."""
    reply = await repository.find_reply(session, workspace_id, reply_id)
    return reply.generation.get("trace_id") if reply is not None and reply.generation else None


async def list_corrections(session: AsyncSession, workspace_id: UUID, page: PageRequest) -> Sequence[Row[Any]]:
    """Return corrections with the replies' texts, newest first, one more than the page holds."""
    return await repository.list_corrections(session, workspace_id, page)


async def list_replies(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, filters: ReplyFilter
) -> Sequence[Row[Any]]:
    """Return the workspace's replies in the page's order, one more than it holds."""
    return await repository.list_replies(session, workspace_id, page, filters)


async def get_reply(session: AsyncSession, workspace_id: UUID, reply_id: UUID) -> Row[Any]:
    """Return a reply; raises NotFound."""
    return or_404(await repository.find_reply_row(session, workspace_id, reply_id), NO_SUCH_REPLY)

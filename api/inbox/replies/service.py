"""Stores the intent of a reply, and applies its effects to the lead and its enrollments."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from ai.workflows.intent_classification.state import Intent, IntentInput, IntentOutput
from api.accounts.workspaces import service as workspaces
from api.delivery.sending import service as sending
from api.delivery.sending.service import Acceptance
from api.http.errors import NotFound, or_404
from api.http.pagination import PageRequest
from api.inbox.replies import repository, stops
from api.inbox.replies.reports import ReportedEvent, read_event, read_outcome
from api.inbox.replies.schemas import ReplyFilter
from api.outreach.enrollment_status import service as enrollment_status
from api.people.leads import recipients
from api.people.leads import service as leads
from database import jobs
from database.models import Reply
from domain.bounce import explain_refusal
from domain.enrollment import EnrollmentEvent
from domain.job_types import RESUME_ENROLLMENT, SCORE_REPLY
from domain.lead import LeadEvent
from email_text.authors import read_sender
from email_text.conversion import to_text
from email_text.departures import says_closed, says_departed
from email_text.quotes import extract_reply
from email_text.reports import ReportKind

PERSON = "person"
DEPARTED = "The recipient has left, or the mailbox is closed."
UNMATCHED_NO = "A no that answers no email of the workspace: check which address it is about."
REPORT_CONFIDENCE = 0.99
_REDIRECTIONS = frozenset({Intent.REFERRAL, Intent.WRONG_PERSON})
_GROUP_HEADER = re.compile(r"list-|mailing-list$|precedence$|x-beenthere$|x-mailing-list$", re.IGNORECASE)
NO_SUCH_REPLY = "There is no such reply."
UNKNOWN_ABSENCE = timedelta(days=14)
"""How long an absence without a day of return pauses the enrollments, if no user decides earlier."""


async def find_reply_to_classify(
    session: AsyncSession, workspace_id: UUID, reply_id: UUID
) -> tuple[Reply, IntentInput] | None:
    """Return a reply without an intent, and the input of the workflow with the mail that it answers."""
    reply = await repository.find_reply(session, workspace_id, reply_id)
    if reply is None or reply.intent is not None:
        return None
    headers = _list_headers(reply)
    sender = read_sender(headers)
    if sender is not None and sender.address != reply.from_email:
        # A group passed the message on: its headers say nothing about the author.
        headers = [(name, value) for name, value in headers if not _GROUP_HEADER.match(name)]
    sent = await repository.find_answered_draft(session, reply)
    return reply, IntentInput(
        headers=headers,
        subject=reply.subject,
        text=reply.text,
        sent_subject=sent.subject if sent else "",
        sent_text=(sent.body or to_text(sent.body_html)) if sent else "",
        time_zone=await repository.find_lead_timezone(session, reply) or "",
        received_at=reply.received_at,
    )


def is_decided_by_report(reply: Reply) -> bool:
    """Return whether a report decides the intent of a reply; an answer to an invitation may also have words."""
    return reply.report is not None and reply.report["kind"] != ReportKind.CALENDAR


def _list_headers(reply: Reply) -> list[tuple[str, str]]:
    return [(str(header["name"]), str(header["value"])) for header in reply.headers]


@dataclass(frozen=True, slots=True)
class Decision:
    """The intent of a reply, by a workflow or a user."""

    intent: Intent
    is_automatic: bool
    return_date: date | None


async def apply_classification(session: AsyncSession, reply: Reply, output: IntentOutput, now: datetime) -> None:
    """Store the intent that the workflow returned, and apply its effects; an intent that a user has set stays."""
    # An invitation is accepted or declined at the press of a button.
    is_automatic = output.is_automatic or reply.report is not None
    is_departure = is_automatic and _is_departure(reply, output)
    label = Intent.WRONG_PERSON if is_departure and output.label not in _REDIRECTIONS else output.label
    decision = Decision(label, is_automatic, None if is_departure else output.return_date)
    values = {
        "intent": decision.intent,
        "is_automatic": decision.is_automatic,
        "confidence": output.confidence,
        "decided_by": output.decided_by,
        "return_date": decision.return_date,
        "generation": output.generation.model_dump(mode="json"),
    }
    review_reason = DEPARTED if is_departure else _find_review_reason(reply, decision.intent)
    values |= {"needs_review": output.needs_review or review_reason is not None, "review_reason": review_reason}
    if not await repository.store_decision(session, reply.id, values, overwrite=False):
        return
    if is_departure and reply.lead_id is not None:
        await _pause_for_departure(session, reply.workspace_id, [reply.lead_id], _format_cause(reply), now)
    await _apply_effects(session, reply, decision, now, default_resume_at=now + UNKNOWN_ABSENCE)


async def apply_report(session: AsyncSession, reply: Reply, now: datetime) -> None:
    """Store the intent of a report, and apply its effects; an intent that a user has set stays."""
    assert reply.report is not None
    mailed = await recipients.find_address(session, reply.workspace_id, reply.draft_id) if reply.draft_id else None
    outcome = read_outcome(reply.report, mailed)
    reason = outcome.review_reason or _find_review_reason(reply, outcome.intent)
    values = {
        "intent": outcome.intent,
        "is_automatic": True,
        "confidence": REPORT_CONFIDENCE,
        "decided_by": "headers",
        "needs_review": reason is not None,
        "review_reason": reason,
    }
    if not await repository.store_decision(session, reply.id, values, overwrite=False):
        return
    if reply.report["kind"] == ReportKind.UNSUBSCRIBE:
        await stops.stop_by_no(session, reply, cause=_format_cause(reply), now=now)
    else:
        await stops.stop_by_report(session, reply, outcome, cause=_format_cause(reply), now=now)
    await _record_event(session, reply, read_event(reply.report, mailed), now)


async def _record_event(session: AsyncSession, reply: Reply, event: ReportedEvent | None, now: datetime) -> None:
    """Store the event that a report tells, and pause the sequences that it must pause, as if Everlytic had told it."""
    draft = await repository.find_answered_draft(session, reply) if event is not None else None
    if event is None or draft is None:
        return
    await repository.add_reported_event(session, draft, event, now)
    reason = explain_refusal(event.bounce_kind, event.detail)
    await sending.pause_after_report(session, draft, reason, now)


def _is_departure(reply: Reply, output: IntentOutput) -> bool:
    """Return whether an automatic message says that the recipient is gone for ever."""
    if output.label in {Intent.UNSUBSCRIBE, Intent.BOUNCE}:
        return False
    words = f"{reply.subject}\n{extract_reply(reply.text)}"
    # A mailbox that is not read until a date is an absence.
    return says_departed(words) or (output.return_date is None and says_closed(words))


async def _pause_for_departure(
    session: AsyncSession, workspace_id: UUID, lead_ids: Sequence[UUID], cause: str, now: datetime
) -> None:
    """Pause the enrollments of leads until a user resumes them, also those that wait for the end of an absence."""
    await enrollment_status.defer_resume(session, workspace_id, lead_ids, None)
    await enrollment_status.apply_event_to_leads(
        session, workspace_id, EnrollmentEvent.PAUSED, lead_ids, cause=f"{DEPARTED} ({cause})", now=now
    )


def _find_review_reason(reply: Reply, intent: Intent) -> str | None:
    """Return why a user must review a reply whatever its intent, or because of it."""
    if reply.review_reason is not None:
        return reply.review_reason
    return UNMATCHED_NO if intent is Intent.UNSUBSCRIBE and reply.draft_id is None else None


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
    values = {**corrected, "confidence": 1.0, "decided_by": PERSON, "needs_review": False, "review_reason": None}
    await repository.store_decision(session, reply.id, values, overwrite=True)
    if decision.is_automatic and was_by_person:
        await _revert_decision(session, reply, now)
    await _apply_effects(session, reply, decision, now)
    return await get_reply(session, workspace_id, reply_id)


async def _apply_effects(
    session: AsyncSession,
    reply: Reply,
    decision: Decision,
    now: datetime,
    *,
    default_resume_at: datetime | None = None,
) -> None:
    """Unsubscribe the addresses that a no covers, and pause or stop the lead's enrollments, by the intent.

    After an absence without a day of return they resume at `default_resume_at`, or when a user resumes them.
    """
    cause = _format_cause(reply)
    if reply.lead_id is not None and reply.draft_id is not None:
        lead_ids = [reply.lead_id]
        if decision.intent is Intent.OUT_OF_OFFICE and decision.is_automatic:
            day = decision.return_date
            resume_at = await _compute_start(session, reply, day) if day is not None else default_resume_at
            await _pause_enrollments(session, reply.workspace_id, lead_ids, resume_at, cause=cause, now=now)
        if not decision.is_automatic:
            await _record_reply(session, reply.workspace_id, reply.draft_id, lead_ids, cause=cause, now=now)
    if decision.intent is Intent.UNSUBSCRIBE:
        await stops.stop_by_no(session, reply, cause=cause, now=now)


async def _record_reply(
    session: AsyncSession, workspace_id: UUID, draft_id: UUID, lead_ids: Sequence[UUID], *, cause: str, now: datetime
) -> None:
    """Mark the leads as replied, and stop their enrollments."""
    # A reply proves that the mail was accepted, even if the provider has not confirmed it yet.
    await sending.record_acceptances(session, workspace_id, [Acceptance(draft_id, None, now)])
    await leads.apply_event(session, workspace_id, lead_ids, LeadEvent.REPLY_RECEIVED, cause=cause, now=now)
    event = EnrollmentEvent.REPLY_RECEIVED
    await enrollment_status.apply_event_to_leads(session, workspace_id, event, lead_ids, cause=cause, now=now)


def _format_cause(reply: Reply) -> str:
    return f"reply {reply.id}"


async def _pause_enrollments(
    session: AsyncSession,
    workspace_id: UUID,
    lead_ids: Sequence[UUID],
    resume_at: datetime | None,
    *,
    cause: str,
    now: datetime,
) -> None:
    """Pause the enrollments of leads until a time, or until a user resumes them."""
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


async def _compute_start(session: AsyncSession, reply: Reply, day: date) -> datetime:
    """Return the start of a day in the time zone of the lead, or else of the workspace, in UTC."""
    workspace = await workspaces.find_workspace(session, reply.workspace_id)
    zone = await repository.find_lead_timezone(session, reply)
    return datetime.combine(day, time(0), ZoneInfo(zone or workspace.timezone)).astimezone(UTC)


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

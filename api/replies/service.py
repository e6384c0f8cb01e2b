"""What a reply is an answer to, and what its intent makes us do."""

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from ai.workflows.intent_classification.state import Intent, IntentInput, IntentOutput
from api.enrollments import service as enrollments
from api.errors import NotFound
from api.leads import service as leads
from api.pagination import PageRequest
from api.replies import repository
from api.replies.message import InboundMessage
from api.replies.schemas import ReplyFilter
from api.sending import service as sending
from api.sending.service import Acceptance
from api.workspaces import service as workspaces
from database import jobs
from database.models import Reply
from domain.enrollment import EnrollmentEvent
from domain.lead import LeadEvent

CLASSIFY_REPLY = "classify_reply"
RESUME_ENROLLMENT = "resume_enrollment"


async def receive(session: AsyncSession, workspace_id: UUID, message: InboundMessage, now: datetime) -> bool:
    """Store a reply once, matched to what it answers, and have it read; False when it was taken before.

    Matched by the ids in In-Reply-To and References, then by the sender's address.
    """
    answered = await repository.find_answered(session, workspace_id, message.answered)
    if answered is None:
        answered = await repository.find_last_sent_to(session, workspace_id, message.from_email)
    values = {
        "lead_id": answered.lead_id if answered else None,
        "enrollment_id": answered.enrollment_id if answered else None,
        "draft_id": answered.id if answered else None,
        "message_id": message.message_id,
        "from_email": message.from_email,
        "subject": message.subject,
        "text": message.text,
        "headers": [{"name": name, "value": value} for name, value in message.headers],
        "received_at": now,
    }
    reply_id = await repository.add_reply(session, workspace_id, values)
    if reply_id is None:
        return False
    await jobs.enqueue(session, CLASSIFY_REPLY, workspace_id, [jobs.Job(now, {"replyId": str(reply_id)})])
    return True


async def to_classify(session: AsyncSession, workspace_id: UUID, reply_id: UUID) -> tuple[Reply, IntentInput] | None:
    """Return a reply that nobody has decided yet, as the workflow takes it."""
    reply = await repository.find_reply(session, workspace_id, reply_id)
    if reply is None or reply.intent is not None:
        return None
    headers = [(str(header["name"]), str(header["value"])) for header in reply.headers]
    return reply, IntentInput(headers=headers, subject=reply.subject, text=reply.text, received_at=reply.received_at)


async def decided(session: AsyncSession, reply: Reply, decision: IntentOutput, now: datetime) -> None:
    """Store what a reply means, and act: a no is for good, an absence pauses, a person's answer stops the sequence."""
    values = {
        "intent": decision.label,
        "is_automatic": decision.is_automatic,
        "confidence": decision.confidence,
        "decided_by": decision.decided_by,
    }
    await repository.decide(session, reply.id, values)
    if reply.lead_id is None or reply.draft_id is None:
        return
    lead_ids, cause = [reply.lead_id], f"reply {reply.id}"
    if decision.label is Intent.OUT_OF_OFFICE:
        resume_at = await _start_of(session, reply.workspace_id, decision)
        await enrollments.stop_leads(
            session,
            reply.workspace_id,
            EnrollmentEvent.OUT_OF_OFFICE,
            lead_ids,
            cause=cause,
            now=now,
            resume_at=resume_at,
        )
        if resume_at is not None and reply.enrollment_id is not None:
            back = jobs.Job(resume_at, {"enrollmentId": str(reply.enrollment_id)})
            await jobs.enqueue(session, RESUME_ENROLLMENT, reply.workspace_id, [back])
        return
    if decision.is_automatic:
        return
    # An answer proves that the message arrived, even where the provider has not said so yet.
    await sending.accept(session, reply.workspace_id, [Acceptance(reply.draft_id, None, now)])
    await leads.move(session, reply.workspace_id, lead_ids, LeadEvent.REPLY_RECEIVED, cause=cause, now=now)
    await enrollments.stop_leads(
        session, reply.workspace_id, EnrollmentEvent.REPLY_RECEIVED, lead_ids, cause=cause, now=now
    )
    if decision.label is Intent.UNSUBSCRIBE:
        await enrollments.unsubscribe_leads(session, reply.workspace_id, lead_ids, cause=cause, now=now)


async def _start_of(session: AsyncSession, workspace_id: UUID, decision: IntentOutput) -> datetime | None:
    """Return when the day of somebody's return begins in the workspace's zone."""
    if decision.return_date is None:
        return None
    workspace = await workspaces.find_workspace(session, workspace_id)
    return datetime.combine(decision.return_date, time(0), ZoneInfo(workspace.timezone)).astimezone(UTC)


async def resume_absent(session: AsyncSession, workspace_id: UUID, enrollment_id: UUID, now: datetime) -> None:
    """Resume an enrollment that waits for somebody's return, if that is still what it waits for."""
    try:
        enrollment = await enrollments.get_enrollment(session, workspace_id, enrollment_id)
    except NotFound:
        return
    if enrollment.pause_reason == EnrollmentEvent.OUT_OF_OFFICE:
        await enrollments.resume(session, workspace_id, enrollment_id, cause="back from absence", now=now)


async def list_replies(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, wanted: ReplyFilter
) -> Sequence[Row[Any]]:
    """Return the workspace's replies in the page's order, one more than it holds."""
    return await repository.list_replies(session, workspace_id, page, wanted)


async def get_reply(session: AsyncSession, workspace_id: UUID, reply_id: UUID) -> Row[Any]:
    """Return a reply; raises NotFound."""
    reply = await repository.show_reply(session, workspace_id, reply_id)
    if reply is None:
        raise NotFound("There is no such reply.")
    return reply

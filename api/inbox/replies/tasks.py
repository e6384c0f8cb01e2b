"""Jobs that classify replies, and resume enrollments after an absence."""

from uuid import UUID

from ai.registry import INTENT_CLASSIFICATION
from ai.run import run
from api.accounts.usage.service import ai_context
from api.http.resources import Services
from api.inbox.replies import service
from api.jobs.engine import Work


async def classify_reply(work: Work[Services]) -> None:
    """Classify a reply, and apply the effects of its intent."""
    async with work.transaction() as session:
        reply_and_request = await service.find_reply_to_classify(
            session, work.workspace_id, UUID(work.payload["replyId"])
        )
    if reply_and_request is None:
        return
    reply, request = reply_and_request
    if service.is_decided_by_report(reply):
        async with work.transaction() as session:
            await service.apply_report(session, reply, work.clock.now())
        return
    context = ai_context(work.resources, work.workspace_id, tags=(f"reply:{reply.id}",))
    output = await run(INTENT_CLASSIFICATION, request, context=context)
    async with work.transaction() as session:
        await service.apply_classification(session, reply, output, work.clock.now())


async def resume_enrollment(work: Work[Services]) -> None:
    """Resume an enrollment on the return date."""
    enrollment_id = UUID(work.payload["enrollmentId"])
    async with work.transaction() as session:
        await service.resume_after_absence(session, work.workspace_id, enrollment_id, work.clock.now())


async def score_reply(work: Work[Services]) -> None:
    """Score the trace of a classification by whether a user confirmed or corrected it."""
    async with work.transaction() as session:
        trace_id = await service.find_trace(session, work.workspace_id, UUID(work.payload["replyId"]))
    if trace_id is not None:
        work.resources.tracing.score(trace_id, "right", work.payload["right"], key=f"{trace_id}-right")

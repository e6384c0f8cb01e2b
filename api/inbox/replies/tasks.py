"""Reading replies, and taking up who was away."""

from uuid import UUID

from ai.registry import INTENT_CLASSIFICATION
from ai.run import run
from api.accounts.usage.service import ai_context
from api.http.resources import Services
from api.inbox.replies import service
from api.jobs.engine import Work


async def classify_reply(work: Work[Services]) -> None:
    """Find out what one reply means, and let that act."""
    async with work.transaction() as session:
        found = await service.find_reply_to_classify(session, work.workspace_id, UUID(work.payload["replyId"]))
    if found is None:
        return
    reply, request = found
    context = ai_context(work.resources, work.workspace_id, tags=(f"reply:{reply.id}",))
    decision = await run(INTENT_CLASSIFICATION, request, context=context)
    async with work.transaction() as session:
        await service.apply_decision(session, reply, decision, work.clock.now())


async def resume_enrollment(work: Work[Services]) -> None:
    """Resume an enrollment on the day somebody is back."""
    enrollment_id = UUID(work.payload["enrollmentId"])
    async with work.transaction() as session:
        await service.resume_after_absence(session, work.workspace_id, enrollment_id, work.clock.now())


async def score_reply(work: Work[Services]) -> None:
    """Tell the trace of a reading whether a person found it right."""
    async with work.transaction() as session:
        trace_id = await service.find_trace(session, work.workspace_id, UUID(work.payload["replyId"]))
    if trace_id is not None:
        work.resources.tracing.score(trace_id, "right", work.payload["right"], key=f"{trace_id}-right")

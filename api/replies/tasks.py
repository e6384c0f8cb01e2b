"""Reading replies, and taking up who was away."""

from uuid import UUID

from ai.registry import INTENT_CLASSIFICATION
from ai.run import run
from api.jobs.engine import Work
from api.replies import service
from api.resources import Services


async def classify_reply(work: Work[Services]) -> None:
    """Find out what one reply means, and let that act."""
    async with work.transaction() as session:
        found = await service.to_classify(session, work.workspace_id, UUID(work.payload["replyId"]))
    if found is None:
        return
    reply, request = found
    decision = await run(INTENT_CLASSIFICATION, request, context=work.resources.ai_context(work.workspace_id))
    async with work.transaction() as session:
        await service.decided(session, reply, decision, work.clock.now())


async def resume_enrollment(work: Work[Services]) -> None:
    """Resume an enrollment on the day somebody is back."""
    enrollment_id = UUID(work.payload["enrollmentId"])
    async with work.transaction() as session:
        await service.resume_absent(session, work.workspace_id, enrollment_id, work.clock.now())

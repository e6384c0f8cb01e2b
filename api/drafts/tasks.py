"""Writing drafts."""

from uuid import UUID

from ai.registry import EMAIL_GENERATION
from ai.run import run
from api.drafts import service
from api.jobs.engine import Work
from api.resources import Services


async def generate_draft(work: Work[Services]) -> None:
    """Write one pending draft: by the model where there is one, from the template otherwise."""
    draft_id = UUID(work.payload["draftId"])
    async with work.transaction() as session:
        found = await service.material(session, work.workspace_id, draft_id)
    if found is None:
        return
    written_from, request = found
    context = work.resources.ai_context(work.workspace_id, tags=(f"sequence:{written_from.sequence.id}",))
    output = await run(EMAIL_GENERATION, request, context=context)
    async with work.transaction() as session:
        await service.store(session, work.workspace_id, written_from, output, work.clock.now())

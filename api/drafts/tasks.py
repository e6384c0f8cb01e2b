"""Writing drafts."""

from uuid import UUID

from ai.registry import EMAIL_GENERATION
from ai.run import run
from api.drafts import service
from api.drafts.service import Written
from api.jobs.engine import Work
from api.resources import Services


async def generate_draft(work: Work[Services]) -> None:
    """Write one pending draft: by the model where there is one, from the template otherwise."""
    batches = work.resources.batches
    assignment = await batches.run(service.assign, work.workspace_id, UUID(work.payload["draftId"]))
    if assignment is None:
        return
    context = work.resources.ai_context(work.workspace_id, tags=(f"sequence:{assignment.material.sequence.id}",))
    output = await run(EMAIL_GENERATION, assignment.request, context=context)
    written = Written(assignment.material, output, work.clock.now())
    await batches.run(service.store, work.workspace_id, written)

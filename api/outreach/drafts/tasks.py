"""Jobs that write drafts and score their traces."""

from uuid import UUID

from ai.registry import EMAIL_GENERATION
from ai.run import run
from api.accounts.usage.service import ai_context
from api.http.resources import Services
from api.jobs.engine import Work
from api.outreach.drafts import service
from api.outreach.drafts.service import WrittenDraft


async def generate_draft(work: Work[Services]) -> None:
    """Write one pending draft, with the model if one is configured, otherwise from the template."""
    batches = work.resources.batches
    assignment = await batches.run(service.prepare_assignments, work.workspace_id, UUID(work.payload["draftId"]))
    if assignment is None:
        return
    draft = assignment.material.draft
    url = work.resources.unsubscribe_url(work.workspace_id, draft.lead_id, draft.id)
    context = ai_context(
        work.resources,
        work.workspace_id,
        actor=work.payload.get("actor"),
        tags=(f"sequence:{draft.sequence_id}", f"draft:{draft.id}"),
    )
    request = assignment.request.model_copy(update={"unsubscribe_url": url})
    output = await run(EMAIL_GENERATION, request, context=context)
    written = WrittenDraft(assignment.material, output, work.clock.now())
    await batches.run(service.store_drafts, work.workspace_id, written)


async def score_draft(work: Work[Services]) -> None:
    """Score the trace of a draft: whether users approved its text, and how much of it they kept."""
    payload = work.payload
    async with work.transaction() as session:
        traced = await service.find_traced_draft(session, work.workspace_id, UUID(payload["draftId"]))
    if traced is None:
        return
    trace_id, score = traced.trace_id, work.resources.tracing.score
    if "approved" in payload:
        score(trace_id, "approved", payload["approved"], key=f"{trace_id}-approved", comment=payload.get("reason"))
    if traced.is_edited or payload.get("approved"):
        score(trace_id, "edit_similarity", traced.similarity, key=f"{trace_id}-similarity")

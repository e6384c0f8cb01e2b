"""How a draft is written, edited and approved."""

import html
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ai.workflows.email_generation.state import (
    DraftFailed,
    EarlierMessage,
    EmailGenerationInput,
    EmailGenerationOutput,
    LeadFacts,
    Sender,
)
from api.drafts import repository
from api.drafts.repository import Material
from api.enrollments.service import GENERATE_DRAFT
from api.errors import Conflict, NotFound
from api.pagination import PageRequest
from database import jobs
from database.models import DraftStatus, EmailDraft

SEND_EMAIL = "send_email"
EDITABLE = (DraftStatus.DRAFTED, DraftStatus.REVIEWED)


async def get_draft(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> EmailDraft:
    """Return a draft; raises NotFound."""
    draft = await repository.find_draft(session, workspace_id, draft_id)
    if draft is None:
        raise NotFound("There is no such draft.")
    return draft


async def list_drafts(
    session: AsyncSession,
    workspace_id: UUID,
    page: PageRequest,
    *,
    status: DraftStatus | None,
    sequence_id: UUID | None,
    lead_id: UUID | None,
) -> Sequence[EmailDraft]:
    """Return the workspace's drafts, newest first, one more than the page holds."""
    return await repository.list_drafts(
        session, workspace_id, page, status=status, sequence_id=sequence_id, lead_id=lead_id
    )


async def edit(session: AsyncSession, workspace_id: UUID, draft_id: UUID, values: dict[str, Any]) -> EmailDraft:
    """Change a draft's subject or text; raises Conflict once it is being sent."""
    draft = await get_draft(session, workspace_id, draft_id)
    if not values:
        return draft
    if "body" in values:
        values["body_html"] = _paragraphs(values["body"])
    changed = await repository.change(session, workspace_id, draft_id, EDITABLE, values)
    if changed is None:
        raise Conflict(f"A draft that is {draft.status} cannot be edited.")
    return changed


def _paragraphs(text: str) -> str:
    """Return plain text as HTML: blank lines part paragraphs."""
    blocks = (html.escape(block.strip()).replace("\n", "<br>") for block in text.split("\n\n") if block.strip())
    return "".join(f"<p>{block}</p>" for block in blocks)


async def approve(
    session: AsyncSession,
    workspace_id: UUID,
    *,
    draft_ids: Sequence[UUID] | None = None,
    sequence_id: UUID | None = None,
    now: datetime,
) -> list[UUID]:
    """Approve the chosen drafts that wait for review and put them on their way; returns which they were."""
    approved = await repository.approve(session, workspace_id, draft_ids=draft_ids, sequence_id=sequence_id)
    await send_when_due(session, workspace_id, approved, now)
    return [draft.id for draft in approved]


async def send_when_due(session: AsyncSession, workspace_id: UUID, drafts: Sequence[EmailDraft], now: datetime) -> None:
    """Put reviewed drafts on the queue for when the schedule wants them to leave."""
    due = [jobs.Job(max(draft.send_at or now, now), {"draftId": str(draft.id)}) for draft in drafts]
    await jobs.enqueue(session, SEND_EMAIL, workspace_id, due, max_attempts=20)


async def regenerate(session: AsyncSession, workspace_id: UUID, draft_id: UUID, now: datetime) -> EmailDraft:
    """Have a draft written again; raises Conflict once it is being sent."""
    draft = await get_draft(session, workspace_id, draft_id)
    sources = (*EDITABLE, DraftStatus.FAILED)
    values: dict[str, Any] = {"status": DraftStatus.PENDING, "error_reason": None}
    changed = await repository.change(session, workspace_id, draft_id, sources, values)
    if changed is None:
        raise Conflict(f"A draft that is {draft.status} cannot be written again.")
    await jobs.enqueue(session, GENERATE_DRAFT, workspace_id, [jobs.Job(now, {"draftId": str(draft_id)})])
    return changed


async def material(
    session: AsyncSession, workspace_id: UUID, draft_id: UUID
) -> tuple[Material, EmailGenerationInput] | None:
    """Return what a pending draft is to be written from, or None when there is nothing to write."""
    found = await repository.find_material(session, workspace_id, draft_id)
    if found is None or found.draft.status != DraftStatus.PENDING:
        return None
    earlier = await repository.earlier_messages(session, found.draft)
    return found, EmailGenerationInput(
        subject_template=found.step.subject,
        body_template=found.step.body_template,
        lead=LeadFacts(
            first_name=found.lead.first_name,
            last_name=found.lead.last_name,
            email=found.lead.email,
            company=found.lead.company,
            role=found.lead.role,
            segment=found.lead.segment or "",
            custom_fields={name: str(value) for name, value in found.lead.custom_fields.items()},
        ),
        sender=Sender(name=found.workspace.default_from_name, email=found.workspace.default_from_email),
        workspace_name=found.workspace.name,
        earlier_messages=[EarlierMessage(direction="sent", subject=one.subject, text=one.body) for one in earlier],
    )


async def store(
    session: AsyncSession, workspace_id: UUID, written_from: Material, output: EmailGenerationOutput, now: datetime
) -> None:
    """Store what was written, for review or straight on its way; a failure is stored with its reasons."""
    draft_id = written_from.draft.id
    generation = output.generation.model_dump(mode="json")
    if isinstance(output, DraftFailed):
        values = {"status": DraftStatus.FAILED, "error_reason": "; ".join(output.reasons), "generation": generation}
        await repository.change(session, workspace_id, draft_id, [DraftStatus.PENDING], values)
        return
    auto_approve = written_from.sequence.auto_approve
    written: dict[str, Any] = {
        "status": DraftStatus.REVIEWED if auto_approve else DraftStatus.DRAFTED,
        "subject": output.subject,
        "body": output.text,
        "body_html": output.html,
        "generation": generation,
        "error_reason": None,
    }
    draft = await repository.change(session, workspace_id, draft_id, [DraftStatus.PENDING], written)
    if draft is not None and auto_approve:
        await send_when_due(session, workspace_id, [draft], now)

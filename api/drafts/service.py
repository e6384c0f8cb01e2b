"""How a draft is written, edited and approved."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Assignment:
    """A pending draft to be written: what from, and what the workflow is asked."""

    material: Material
    request: EmailGenerationInput


@dataclass(frozen=True, slots=True)
class Written:
    """What the workflow made of an assignment, and when."""

    material: Material
    output: EmailGenerationOutput
    now: datetime


async def assign(session: AsyncSession, workspace_id: UUID, draft_ids: Sequence[UUID]) -> list[Assignment | None]:
    """Return what each of these drafts is to be written from, or None where there is nothing to write."""
    materials = {one.draft.id: one for one in await repository.find_materials(session, workspace_id, draft_ids)}
    earlier: dict[UUID, list[EarlierMessage]] = {}
    for sent in await repository.earlier_messages(session, [one.draft for one in materials.values()]):
        message = EarlierMessage(direction="sent", subject=sent.subject, text=sent.body)
        earlier.setdefault(sent.enrollment_id, []).append(message)
    return [
        Assignment(found, _request(found, earlier.get(found.draft.enrollment_id, [])))
        if (found := materials.get(draft_id)) is not None
        else None
        for draft_id in draft_ids
    ]


def _request(found: Material, earlier: list[EarlierMessage]) -> EmailGenerationInput:
    lead, workspace = found.lead, found.workspace
    return EmailGenerationInput(
        subject_template=found.step.subject,
        body_template=found.step.body_template,
        lead=LeadFacts(
            first_name=lead.first_name,
            last_name=lead.last_name,
            email=lead.email,
            company=lead.company,
            role=lead.role,
            segment=lead.segment or "",
            custom_fields={name: str(value) for name, value in lead.custom_fields.items()},
        ),
        sender=Sender(name=workspace.default_from_name, email=workspace.default_from_email),
        workspace_name=workspace.name,
        earlier_messages=earlier,
    )


async def store(session: AsyncSession, workspace_id: UUID, written: Sequence[Written]) -> list[None]:
    """Store what was written, for review or straight on its way; a failure is stored with its reasons."""
    stored = await repository.store(session, workspace_id, [_row(one) for one in written])
    ready = [draft for draft in stored if draft.status == DraftStatus.REVIEWED]
    await send_when_due(session, workspace_id, ready, max(one.now for one in written))
    return [None] * len(written)


def _row(written: Written) -> dict[str, Any]:
    draft, output = written.material.draft, written.output
    row = {
        "id": draft.id,
        "subject": draft.subject,
        "body": draft.body,
        "body_html": draft.body_html,
        "error_reason": None,
        "generation": output.generation.model_dump(mode="json"),
    }
    if isinstance(output, DraftFailed):
        return {**row, "status": DraftStatus.FAILED, "error_reason": "; ".join(output.reasons)}
    status = DraftStatus.REVIEWED if written.material.sequence.auto_approve else DraftStatus.DRAFTED
    return {**row, "status": status, "subject": output.subject, "body": output.text, "body_html": output.html}

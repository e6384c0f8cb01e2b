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
)
from api.drafts import repository
from api.drafts.repository import Material
from api.drafts.schemas import Approval, ApprovalStatus
from api.enrollments.service import GENERATE_DRAFT
from api.errors import Conflict, NotFound
from api.pagination import PageRequest
from api.sequences.service import generation_input
from database import jobs
from database.models import EmailDraft
from domain.draft import EDITABLE, DraftEvent, DraftStatus, next_status, sources_of

APPROVED, REFUSED = ApprovalStatus.APPROVED, ApprovalStatus.REFUSED
NOT_WAITING, UNKNOWN = ApprovalStatus.NOT_WAITING, ApprovalStatus.UNKNOWN
SEND_EMAIL = "send_email"


async def get_draft(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> EmailDraft:
    """Return a draft; raises NotFound."""
    draft = await repository.find_draft(session, workspace_id, draft_id)
    if draft is None:
        raise NotFound("There is no such draft.")
    return draft


async def hold_draft(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> EmailDraft:
    """Return a draft, held until the transaction ends; raises NotFound."""
    draft = await repository.hold_draft(session, workspace_id, draft_id)
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
    enrollment_id: UUID | None,
) -> Sequence[EmailDraft]:
    """Return the workspace's drafts, newest first, one more than the page holds."""
    return await repository.list_drafts(
        session,
        workspace_id,
        page,
        status=status,
        sequence_id=sequence_id,
        lead_id=lead_id,
        enrollment_id=enrollment_id,
    )


async def edit(session: AsyncSession, draft: EmailDraft, values: dict[str, Any]) -> EmailDraft:
    """Change the subject or the text of a draft that is held; raises Conflict once it is being sent."""
    if not values:
        return draft
    if "body" in values:
        values = {**values, "body_html": _paragraphs(values["body"])}
    changed = await repository.change(session, draft.workspace_id, draft.id, EDITABLE, values)
    if changed is None:
        raise (
            _being_sent()
            if draft.status in EDITABLE
            else Conflict(f"A draft that is {draft.status} has no text to edit.")
        )
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
) -> list[Approval]:
    """Approve the chosen drafts that wait for review and put them on their way.

    Returns a row for each that waited, and for each that was asked for by its id.
    """
    waited = await repository.approve(session, workspace_id, draft_ids=draft_ids, sequence_id=sequence_id)
    await send_when_due(session, workspace_id, [one for one, refusal in waited.items() if refusal is None], now)
    others = [one for one in dict.fromkeys(draft_ids or ()) if one not in waited]
    there = await repository.which_exist(session, workspace_id, others) if others else set()
    return [
        Approval(draft_id=one, status=REFUSED if refusal else APPROVED, reason=refusal)
        for one, refusal in waited.items()
    ] + [Approval(draft_id=one, status=NOT_WAITING if one in there else UNKNOWN) for one in others]


async def approve_one(session: AsyncSession, workspace_id: UUID, draft_id: UUID, now: datetime) -> EmailDraft:
    """Approve a draft and return it; raises NotFound, and Conflict when it does not wait or can never be sent."""
    (approval,) = await approve(session, workspace_id, draft_ids=[draft_id], now=now)
    draft = await get_draft(session, workspace_id, draft_id)
    if approval.status is NOT_WAITING:
        raise Conflict(f"Only a draft that waits for review can be approved; this one is {draft.status}.")
    if approval.status is REFUSED:
        raise Conflict(f"The draft can never be sent: {approval.reason}.")
    return draft


async def send_when_due(session: AsyncSession, workspace_id: UUID, draft_ids: Sequence[UUID], now: datetime) -> None:
    """Put reviewed drafts on the queue for when the schedule wants them to leave."""
    if draft_ids:
        due = repository.sends_of(workspace_id, draft_ids, now)
        await jobs.enqueue_each(session, SEND_EMAIL, workspace_id, due, max_attempts=20)


async def reject(session: AsyncSession, workspace_id: UUID, draft_id: UUID, reason: str) -> EmailDraft:
    """Keep a draft from being sent; raises NotFound, InvalidTransition, and Conflict once it is being sent.

    Its job finds nothing to do; when the draft is written again and approved, it gets another.
    """
    return await _move(session, workspace_id, draft_id, DraftEvent.REJECTED, f"rejected: {reason}")


async def regenerate(session: AsyncSession, workspace_id: UUID, draft_id: UUID, now: datetime) -> EmailDraft:
    """Have a draft written again; raises NotFound, InvalidTransition, and Conflict where that would be in vain."""
    draft = await _move(session, workspace_id, draft_id, DraftEvent.REGENERATED, None)
    if (refusal := await repository.find_refusal(session, draft)) is not None:
        raise Conflict(f"The draft can never be sent: {refusal}.")
    await write(session, workspace_id, [draft_id], now)
    return draft


async def write(session: AsyncSession, workspace_id: UUID, draft_ids: Sequence[UUID], now: datetime) -> None:
    """Have pending drafts written."""
    to_write = [jobs.Job(now, {"draftId": str(draft_id)}) for draft_id in draft_ids]
    await jobs.enqueue(session, GENERATE_DRAFT, workspace_id, to_write)


async def _move(
    session: AsyncSession, workspace_id: UUID, draft_id: UUID, event: DraftEvent, error_reason: str | None
) -> EmailDraft:
    draft = await hold_draft(session, workspace_id, draft_id)
    values = {"status": next_status(DraftStatus(draft.status), event), "error_reason": error_reason}
    moved = await repository.change(session, workspace_id, draft_id, sources_of(event), values)
    if moved is None:
        raise _being_sent()
    return moved


def _being_sent() -> Conflict:
    return Conflict("The draft is being sent, or may have been; it stays as it is.")


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
        Assignment(one, generation_input(one.workspace, one.step, one.lead, earlier.get(one.draft.enrollment_id, ())))
        if (one := materials.get(draft_id)) is not None
        else None
        for draft_id in draft_ids
    ]


async def store(session: AsyncSession, workspace_id: UUID, written: Sequence[Written]) -> list[None]:
    """Store what was written, for review or straight on its way; a failure is stored with its reasons."""
    stored = await repository.store(session, workspace_id, [_row(one) for one in written])
    ready = [draft.id for draft in stored if draft.status == DraftStatus.REVIEWED]
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
        status = next_status(DraftStatus.PENDING, DraftEvent.WRITING_FAILED)
        return {**row, "status": status, "error_reason": "; ".join(output.reasons)}
    approves = written.material.sequence.auto_approve
    event = DraftEvent.WRITTEN_AND_APPROVED if approves else DraftEvent.WRITTEN
    status = next_status(DraftStatus.PENDING, event)
    return {**row, "status": status, "subject": output.subject, "body": output.text, "body_html": output.html}

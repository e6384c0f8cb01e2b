"""How a draft is written, edited and approved."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ai.workflows.email_generation.state import (
    DraftFailed,
    EarlierMessage,
    EmailGenerationInput,
    EmailGenerationOutput,
)
from ai.workflows.intent_classification.quotes import written_part
from api.http.errors import Conflict, NotFound
from api.http.pagination import PageRequest
from api.outreach.drafts import repository
from api.outreach.drafts.repository import Material
from api.outreach.drafts.schemas import Approval, ApprovalStatus
from api.outreach.enrollments.service import GENERATE_DRAFT
from api.outreach.sequences.service import generation_input
from database import jobs
from database.models import EmailDraft
from domain.draft import EDITABLE, DraftEvent, DraftStatus, next_status, sources_of

APPROVED, REFUSED = ApprovalStatus.APPROVED, ApprovalStatus.REFUSED
NOT_WAITING, UNKNOWN = ApprovalStatus.NOT_WAITING, ApprovalStatus.UNKNOWN
SEND_EMAIL = "send_email"
SCORE_DRAFT = "score_draft"
MOST_WORDS_COMPARED = 2_000
"""Of a text; comparing takes the product of both, and emails are far shorter."""


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


async def edit(session: AsyncSession, draft: EmailDraft, values: dict[str, Any], now: datetime) -> EmailDraft:
    """Change the subject or the text of a draft that is held; raises Conflict once it is being sent.

    What was written before the first edit is kept.
    """
    if not values:
        return draft
    values = {**values, "written": draft.written or {"subject": draft.subject, "body": draft.body}}
    if "body" in values:
        values = {**values, "body_html": _paragraphs(values["body"])}
    changed = await repository.change(session, draft.workspace_id, draft.id, EDITABLE, values)
    if changed is None:
        raise (
            _being_sent()
            if draft.status in EDITABLE
            else Conflict(f"A draft that is {draft.status} has no text to edit.")
        )
    await _score(session, draft.workspace_id, [draft.id], {}, now)
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
    approved = [one for one, refusal in waited.items() if refusal is None]
    await send_when_due(session, workspace_id, approved, now)
    await _score(session, workspace_id, approved, {"approved": True}, now)
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


async def reject(session: AsyncSession, workspace_id: UUID, draft_id: UUID, reason: str, now: datetime) -> EmailDraft:
    """Keep a draft from being sent; raises NotFound, InvalidTransition, and Conflict once it is being sent.

    Its job finds nothing to do; when the draft is written again and approved, it gets another.
    """
    draft = await _move(session, workspace_id, draft_id, DraftEvent.REJECTED, f"rejected: {reason}")
    await _score(session, workspace_id, [draft_id], {"approved": False, "reason": reason}, now)
    return draft


async def _score(
    session: AsyncSession, workspace_id: UUID, draft_ids: Sequence[UUID], payload: dict[str, Any], now: datetime
) -> None:
    """Have the traces of drafts scored by what people made of the text; those without a trace are left out."""
    if draft_ids:
        to_score = repository.scores_of(workspace_id, draft_ids, payload, now)
        await jobs.enqueue_each(session, SCORE_DRAFT, workspace_id, to_score)


@dataclass(frozen=True, slots=True)
class TracedDraft:
    """A draft's trace, whether people edited its text, and how alike it is (0 to 1) to what was written."""

    trace_id: str
    is_edited: bool
    similarity: float


async def traced(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> TracedDraft | None:
    """Return what is known of a draft's trace; None for a draft without one."""
    draft = await repository.find_draft(session, workspace_id, draft_id)
    if draft is None or not draft.generation or not (trace_id := draft.generation.get("trace_id")):
        return None
    if draft.written is None:
        return TracedDraft(trace_id, is_edited=False, similarity=1.0)
    before = f"{draft.written['subject']}\n{draft.written['body']}"
    alike = similarity(before, f"{draft.subject}\n{draft.body}")
    return TracedDraft(trace_id, is_edited=True, similarity=alike)


def similarity(before: str, after: str) -> float:
    """Return which share (0 to 1) of the words of two texts they have in common, in the same order."""
    one, other = (text.split()[:MOST_WORDS_COMPARED] for text in (before, after))
    return round(SequenceMatcher(None, one, other, autojunk=False).ratio(), 4)


async def regenerate(
    session: AsyncSession, workspace_id: UUID, draft_id: UUID, *, by: UUID, now: datetime
) -> EmailDraft:
    """Have a draft written again; raises NotFound, InvalidTransition, and Conflict where that would be in vain."""
    draft = await _move(session, workspace_id, draft_id, DraftEvent.REGENERATED, None)
    if (refusal := await repository.find_refusal(session, draft)) is not None:
        raise Conflict(f"The draft can never be sent: {refusal}.")
    await jobs.enqueue(
        session, GENERATE_DRAFT, workspace_id, [jobs.Job(now, {"draftId": str(draft_id), "actor": str(by)})]
    )
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
    for said in await repository.earlier_messages(session, [one.draft for one in materials.values()]):
        words = said.text if said.direction == "sent" else written_part(said.text)
        message = EarlierMessage(direction=said.direction, subject=said.subject, text=words)
        earlier.setdefault(said.enrollment_id, []).append(message)
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

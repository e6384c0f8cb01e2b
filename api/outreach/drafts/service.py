"""Writes, edits, approves and rejects drafts."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ai.preview import find_edit_warnings
from ai.workflows.email_generation.state import (
    DraftFailed,
    EarlierMessage,
    EmailGenerationInput,
    EmailGenerationOutput,
)
from api.http.errors import Conflict, or_404
from api.outreach.drafts import repository
from api.outreach.drafts.repository import Material
from api.outreach.drafts.schemas import Approval, ApprovalStatus
from api.outreach.sequences.service import build_generation_input
from database import jobs
from database.models import EmailDraft, SequenceStep
from domain.draft import EDITABLE_STATUSES, DraftEvent, DraftStatus, next_status, source_statuses
from domain.job_types import GENERATE_DRAFT, SCORE_DRAFT, SEND_EMAIL
from email_text.conversion import to_html
from email_text.quotes import extract_reply

APPROVED, REFUSED = ApprovalStatus.APPROVED, ApprovalStatus.REFUSED
NOT_WAITING, UNKNOWN = ApprovalStatus.NOT_WAITING, ApprovalStatus.UNKNOWN
MAX_WORDS_COMPARED = 2_000
"""The words of each text that are compared; the time grows with their product, and emails are far shorter."""
NO_SUCH_DRAFT = "There is no such draft."


async def get_draft(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> EmailDraft:
    """Return a draft; raises NotFound."""
    return or_404(await repository.find_draft(session, workspace_id, draft_id), NO_SUCH_DRAFT)


async def lock_draft(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> EmailDraft:
    """Return a draft, locked until the transaction ends; raises NotFound."""
    return or_404(await repository.lock_draft(session, workspace_id, draft_id), NO_SUCH_DRAFT)


async def edit_draft(session: AsyncSession, draft: EmailDraft, values: dict[str, Any], now: datetime) -> EmailDraft:
    """Change the subject or the text of a locked draft; raises Conflict once it is being sent.

    The text before the first edit is stored in `written`. A mail that the provider refused waits for review again.
    """
    if not values:
        return draft
    sources, is_failed = EDITABLE_STATUSES, draft.status == DraftStatus.FAILED
    if is_failed and await repository.delete_refused_attempt(session, draft.workspace_id, draft.id):
        sources = source_statuses(DraftEvent.CORRECTED)
        status = next_status(DraftStatus(draft.status), DraftEvent.CORRECTED)
        values = {**values, "status": status, "error_reason": None}
    values = {**values, "written": draft.written or {"subject": draft.subject, "body": draft.body}}
    if "body" in values:
        values = {**values, "body_html": to_html(values["body"])}
    request = build_generation_input(*await repository.find_context(session, draft))
    texts = (values.get("subject", draft.subject), values.get("body", draft.body))
    values = {**values, "warnings": find_edit_warnings(request, *texts)}
    changed = await repository.change_draft(session, draft.workspace_id, draft.id, sources, values)
    if changed is None:
        raise (
            _build_sending_conflict()
            if draft.status in EDITABLE_STATUSES
            else Conflict(f"A draft with status {draft.status} cannot be edited.")
        )
    await _enqueue_scoring(session, draft.workspace_id, [draft.id], {}, now)
    return changed


async def approve_drafts(
    session: AsyncSession,
    workspace_id: UUID,
    *,
    draft_ids: Sequence[UUID] | None = None,
    sequence_id: UUID | None = None,
    now: datetime,
) -> list[Approval]:
    """Approve drafts that wait for review and enqueue them to be sent.

    Returns a result for each draft that waited, and for each requested id.
    """
    waiting = await repository.approve_drafts(session, workspace_id, draft_ids=draft_ids, sequence_id=sequence_id)
    approved = [draft_id for draft_id, refusal_reason in waiting.items() if refusal_reason is None]
    await enqueue_sends(session, workspace_id, approved, now)
    await _enqueue_scoring(session, workspace_id, approved, {"approved": True}, now)
    other_ids = [draft_id for draft_id in dict.fromkeys(draft_ids or ()) if draft_id not in waiting]
    existing_ids = await repository.find_existing_ids(session, workspace_id, other_ids) if other_ids else set()
    return [
        Approval(draft_id=draft_id, status=REFUSED if refusal_reason else APPROVED, reason=refusal_reason)
        for draft_id, refusal_reason in waiting.items()
    ] + [
        Approval(draft_id=draft_id, status=NOT_WAITING if draft_id in existing_ids else UNKNOWN)
        for draft_id in other_ids
    ]


async def approve_draft(session: AsyncSession, workspace_id: UUID, draft_id: UUID, now: datetime) -> EmailDraft:
    """Approve a draft and return it; raises NotFound, and Conflict if it does not wait or can never be sent."""
    (approval,) = await approve_drafts(session, workspace_id, draft_ids=[draft_id], now=now)
    draft = await get_draft(session, workspace_id, draft_id)
    if approval.status is NOT_WAITING:
        raise Conflict(f"Only drafts that wait for review can be approved; this draft has status {draft.status}.")
    if approval.status is REFUSED:
        raise Conflict(f"This draft can never be sent: {approval.reason}.")
    return draft


async def enqueue_sends(session: AsyncSession, workspace_id: UUID, draft_ids: Sequence[UUID], now: datetime) -> None:
    """Enqueue reviewed drafts to be sent at their times."""
    if draft_ids:
        send_jobs = repository.select_send_jobs(workspace_id, draft_ids, now)
        await jobs.enqueue_from_select(session, SEND_EMAIL, workspace_id, send_jobs, max_attempts=20)


async def reject_draft(
    session: AsyncSession, workspace_id: UUID, draft_id: UUID, reason: str, now: datetime
) -> EmailDraft:
    """Reject a draft; raises NotFound, InvalidTransition, and Conflict once it is being sent.

    Its send job stays and does nothing; a regenerated draft gets a new job when it is approved.
    """
    draft = await _apply_event(session, workspace_id, draft_id, DraftEvent.REJECTED, f"rejected: {reason}")
    await _enqueue_scoring(session, workspace_id, [draft_id], {"approved": False, "reason": reason}, now)
    return draft


async def _enqueue_scoring(
    session: AsyncSession, workspace_id: UUID, draft_ids: Sequence[UUID], payload: dict[str, Any], now: datetime
) -> None:
    """Enqueue the scoring of the drafts' traces by what users did with the text; drafts without a trace are skipped."""
    if draft_ids:
        score_jobs = repository.select_score_jobs(workspace_id, draft_ids, payload, now)
        await jobs.enqueue_from_select(session, SCORE_DRAFT, workspace_id, score_jobs)


@dataclass(frozen=True, slots=True)
class TracedDraft:
    """The trace of a draft, whether users edited its text, and how similar (0 to 1) it is to the generated text."""

    trace_id: str
    is_edited: bool
    similarity: float


async def find_traced_draft(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> TracedDraft | None:
    """Return the trace of a draft; None for a draft without one."""
    draft = await repository.find_draft(session, workspace_id, draft_id)
    if draft is None or not draft.generation or not (trace_id := draft.generation.get("trace_id")):
        return None
    if draft.written is None:
        return TracedDraft(trace_id, is_edited=False, similarity=1.0)
    generated = f"{draft.written['subject']}\n{draft.written['body']}"
    similarity = compute_similarity(generated, f"{draft.subject}\n{draft.body}")
    return TracedDraft(trace_id, is_edited=True, similarity=similarity)


def compute_similarity(before: str, after: str) -> float:
    """Return the share (0 to 1) of words that two texts have in common, in the same order."""
    words_before, words_after = (text.split()[:MAX_WORDS_COMPARED] for text in (before, after))
    return round(SequenceMatcher(None, words_before, words_after, autojunk=False).ratio(), 4)


async def regenerate_draft(
    session: AsyncSession, workspace_id: UUID, draft_id: UUID, *, by: UUID, now: datetime
) -> EmailDraft:
    """Enqueue a draft to be written again; raises NotFound, InvalidTransition, and Conflict if it can never be sent.

    A mail that the provider refused may be written again, because nothing was sent.
    """
    if (await lock_draft(session, workspace_id, draft_id)).status == DraftStatus.FAILED:
        await repository.delete_refused_attempt(session, workspace_id, draft_id)
    draft = await _apply_event(session, workspace_id, draft_id, DraftEvent.REGENERATED, None)
    if (refusal_reason := await repository.find_refusal_reason(session, draft)) is not None:
        raise Conflict(f"This draft can never be sent: {refusal_reason}.")
    await jobs.enqueue(
        session, GENERATE_DRAFT, workspace_id, [jobs.Job(now, {"draftId": str(draft_id), "actor": str(by)})]
    )
    return draft


async def enqueue_generation(
    session: AsyncSession, workspace_id: UUID, draft_ids: Sequence[UUID], now: datetime
) -> None:
    """Enqueue pending drafts to be written."""
    generation_jobs = [jobs.Job(now, {"draftId": str(draft_id)}) for draft_id in draft_ids]
    await jobs.enqueue(session, GENERATE_DRAFT, workspace_id, generation_jobs)


async def _apply_event(
    session: AsyncSession, workspace_id: UUID, draft_id: UUID, event: DraftEvent, error_reason: str | None
) -> EmailDraft:
    draft = await lock_draft(session, workspace_id, draft_id)
    values = {"status": next_status(DraftStatus(draft.status), event), "error_reason": error_reason}
    changed = await repository.change_draft(session, workspace_id, draft_id, source_statuses(event), values)
    if changed is None:
        raise _build_sending_conflict()
    return changed


def _build_sending_conflict() -> Conflict:
    return Conflict("This draft is being sent, or may have been sent, so it cannot be changed.")


@dataclass(frozen=True, slots=True)
class Assignment:
    """A pending draft to write: its material, and the input of the workflow."""

    material: Material
    request: EmailGenerationInput


@dataclass(frozen=True, slots=True)
class WrittenDraft:
    """The output of the workflow for a draft, and when it was written."""

    material: Material
    output: EmailGenerationOutput
    now: datetime


async def prepare_assignments(
    session: AsyncSession, workspace_id: UUID, draft_ids: Sequence[UUID]
) -> list[Assignment | None]:
    """Return the assignment of each of these drafts, or None if there is nothing to write."""
    materials = {
        material.draft.id: material for material in await repository.find_materials(session, workspace_id, draft_ids)
    }
    drafts = [material.draft for material in materials.values()]
    earlier: dict[UUID, list[EarlierMessage]] = {}
    for row in await repository.list_earlier_messages(session, drafts):
        text = row.text if row.direction == "sent" else extract_reply(row.text)
        message = EarlierMessage(direction=row.direction, subject=row.subject, text=text)
        earlier.setdefault(row.enrollment_id, []).append(message)
    return [
        _build_assignment(materials[draft_id], earlier) if draft_id in materials else None for draft_id in draft_ids
    ]


def _build_assignment(material: Material, earlier: Mapping[UUID, Sequence[EarlierMessage]]) -> Assignment:
    messages = earlier.get(material.draft.enrollment_id, ())
    return Assignment(material, build_generation_input(material.workspace, material.step, material.lead, messages))


async def store_drafts(session: AsyncSession, workspace_id: UUID, written: Sequence[WrittenDraft]) -> list[None]:
    """Store written drafts, for review or to be sent at once; a failed draft is stored with the reasons."""
    stored = await repository.store_drafts(session, workspace_id, [_to_row(draft) for draft in written])
    reviewed_ids = [draft.id for draft in stored if draft.status == DraftStatus.REVIEWED]
    await enqueue_sends(session, workspace_id, reviewed_ids, max(draft.now for draft in written))
    return [None] * len(written)


def _compute_template_version(step: SequenceStep) -> str:
    """Return what identifies the text of a step's templates: the same text has the same version."""
    return hashlib.sha256(f"{step.subject}\n{step.body_template}".encode()).hexdigest()[:16]


def _to_row(written: WrittenDraft) -> dict[str, Any]:
    draft, output = written.material.draft, written.output
    row = {
        "id": draft.id,
        "subject": draft.subject,
        "body": draft.body,
        "body_html": draft.body_html,
        "error_reason": None,
        "warnings": [] if isinstance(output, DraftFailed) else output.warnings,
        "generation": output.generation.model_dump(mode="json"),
        "template_version": _compute_template_version(written.material.step),
    }
    if isinstance(output, DraftFailed):
        status = next_status(DraftStatus.PENDING, DraftEvent.WRITING_FAILED)
        return {**row, "status": status, "error_reason": "; ".join(output.reasons)}
    auto_approve = written.material.sequence.auto_approve
    event = DraftEvent.WRITTEN_AND_APPROVED if auto_approve else DraftEvent.WRITTEN
    status = next_status(DraftStatus.PENDING, event)
    return {**row, "status": status, "subject": output.subject, "body": output.text, "body_html": output.html}

"""The SQL of drafts."""

import json
from collections.abc import Collection
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from datetime import datetime
from operator import eq
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    case,
    cast,
    exists,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.pagination import PageRequest, build_filters, paged
from database.conditions import block_reason, id_in
from database.models import EmailDraft, Lead, LeadEnrollment, SendAttempt, Sequence, SequenceStep, Workspace
from domain.draft import DraftEvent, DraftStatus, source_statuses
from domain.enrollment import LIVE_STATUSES

# Only drafts that are still pending change, so a text that arrives after a stop or a second run is dropped.
_STORE_DRAFTS = text(
    """
    UPDATE app.email_drafts AS draft
       SET status = generated.status, subject = generated.subject, body = generated.body,
           body_html = generated.body_html, error_reason = generated.error_reason, generation = generated.generation,
           template_version = generated.template_version, warnings = coalesce(generated.warnings, '[]'), written = NULL
      FROM jsonb_to_recordset(CAST(:generated AS jsonb)) AS generated
           (id uuid, status text, subject text, body text, body_html text, error_reason text, generation jsonb,
            template_version text, warnings jsonb)
     WHERE draft.id = generated.id AND draft.workspace_id = :workspace_id
       AND draft.status = ANY(CAST(:sources AS text[]))
    RETURNING draft.*
    """
)


# In the order of time: the order of the steps may have changed since they were sent.
_THREADS = text(
    """
    SELECT enrollment_id, 'sent' AS direction, subject, body AS text, sent_at AS at, id
      FROM app.email_drafts
     WHERE enrollment_id = ANY(CAST(:enrollment_ids AS uuid[])) AND status = 'sent'
    UNION ALL
    SELECT enrollment_id, 'received', subject, text, received_at, id
      FROM app.replies
     WHERE enrollment_id = ANY(CAST(:enrollment_ids AS uuid[])) AND NOT is_automatic
     ORDER BY enrollment_id, at, id
    """
)

_DELETE_REFUSED_ATTEMPT = text(
    """
    WITH refused AS (DELETE FROM app.send_attempts WHERE workspace_id = :workspace_id AND draft_id = :draft_id
                        AND outcome = 'rejected' RETURNING draft_id),
         used_slot AS (DELETE FROM app.send_slots AS slot USING refused WHERE slot.draft_id = refused.draft_id)
    SELECT draft_id FROM refused
    """
)


@dataclass(frozen=True, slots=True)
class Material:
    """The rows that a draft is written from."""

    draft: EmailDraft
    step: SequenceStep
    lead: Lead
    sequence: Sequence
    workspace: Workspace


async def find_draft(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> EmailDraft | None:
    """Return a draft, None if the workspace has none with this id."""
    return await session.scalar(
        select(EmailDraft).where(EmailDraft.workspace_id == workspace_id, EmailDraft.id == draft_id)
    )


async def lock_draft(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> EmailDraft | None:
    """Return the current draft, locked until the transaction ends."""
    statement = (
        select(EmailDraft)
        .where(EmailDraft.workspace_id == workspace_id, EmailDraft.id == draft_id)
        .with_for_update(key_share=True)
    )
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def find_materials(session: AsyncSession, workspace_id: UUID, draft_ids: Rows[UUID]) -> list[Material]:
    """Return the material of those of these drafts that are pending and whose lead is not deleted."""
    statement = (
        select(EmailDraft, SequenceStep, Lead, Sequence, Workspace)
        .join(SequenceStep, SequenceStep.id == EmailDraft.step_id)
        .join(Lead, Lead.id == EmailDraft.lead_id)
        .join(Sequence, Sequence.id == EmailDraft.sequence_id)
        .join(Workspace, Workspace.id == EmailDraft.workspace_id)
        .where(
            EmailDraft.workspace_id == workspace_id,
            EmailDraft.id.in_(draft_ids),
            EmailDraft.status == DraftStatus.PENDING,
            Lead.deleted_at.is_(None),
        )
    )
    return [Material(*row) for row in await session.execute(statement)]


async def find_context(session: AsyncSession, draft: EmailDraft) -> tuple[Workspace, SequenceStep, Lead]:
    """Return the workspace, the step and the lead of a draft."""
    statement = (
        select(Workspace, SequenceStep, Lead)
        .select_from(EmailDraft)
        .join(Workspace, Workspace.id == EmailDraft.workspace_id)
        .join(SequenceStep, SequenceStep.id == EmailDraft.step_id)
        .join(Lead, Lead.id == EmailDraft.lead_id)
        .where(EmailDraft.workspace_id == draft.workspace_id, EmailDraft.id == draft.id)
    )
    workspace, step, lead = (await session.execute(statement)).one()
    return workspace, step, lead


async def list_earlier_messages(session: AsyncSession, drafts: Rows[EmailDraft]) -> Rows[Row[Any]]:
    """Return the sent mails and the replies in the enrollments of these drafts, in order of time.

    Rows of `enrollment_id`, `direction` (sent or received), `subject`, `text`.
    """
    enrollment_ids = [draft.enrollment_id for draft in drafts if draft.step_order > 1]
    if not enrollment_ids:
        return []
    messages: Rows[Row[Any]] = (await session.execute(_THREADS, {"enrollment_ids": enrollment_ids})).all()
    return messages


async def store_drafts(session: AsyncSession, workspace_id: UUID, generated: Rows[dict[str, Any]]) -> Rows[EmailDraft]:
    """Store the generated texts of pending drafts in one statement; returns the drafts that were still pending.

    Each row of `generated` has id, status, subject, body, body_html, error_reason, generation, template_version.
    """
    rows = await session.scalars(
        select(EmailDraft).from_statement(_STORE_DRAFTS),
        {
            "workspace_id": workspace_id,
            "generated": json.dumps([{**row, "id": str(row["id"])} for row in generated]),
            "sources": sorted(source_statuses(DraftEvent.WRITTEN)),
        },
        execution_options={"populate_existing": True},
    )
    return rows.all()


async def list_drafts(
    session: AsyncSession,
    workspace_id: UUID,
    page: PageRequest,
    *,
    status: DraftStatus | None,
    sequence_id: UUID | None,
    lead_id: UUID | None,
    enrollment_id: UUID | None,
) -> Rows[EmailDraft]:
    """Return the workspace's drafts, newest first, one more than the page holds."""
    conditions = build_filters(
        (EmailDraft.status, eq, status),
        (EmailDraft.sequence_id, eq, sequence_id),
        (EmailDraft.lead_id, eq, lead_id),
        (EmailDraft.enrollment_id, eq, enrollment_id),
    )
    statement = select(EmailDraft).where(EmailDraft.workspace_id == workspace_id, *conditions)
    return (await session.scalars(paged(statement, EmailDraft.id, page))).all()


async def delete_refused_attempt(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> bool:
    """Delete the attempt of a mail that the provider refused, and its slot; returns False if it did not refuse it.

    The refusal proves that nothing was sent, so the draft may change and be claimed again.
    """
    parameters = {"workspace_id": workspace_id, "draft_id": draft_id}
    return await session.scalar(_DELETE_REFUSED_ATTEMPT, parameters) is not None


async def change_draft(
    session: AsyncSession,
    workspace_id: UUID,
    draft_id: UUID,
    sources: Collection[DraftStatus],
    values: dict[str, Any],
) -> EmailDraft | None:
    """Change a draft that has one of the `sources` and no send attempt; returns None if it does not."""
    statement = (
        update(EmailDraft)
        .where(EmailDraft.workspace_id == workspace_id, EmailDraft.id == draft_id, EmailDraft.status.in_(sources))
        .where(~exists().where(SendAttempt.draft_id == EmailDraft.id))
        .values(**values)
        .returning(EmailDraft)
    )
    return await session.scalar(statement, execution_options={"populate_existing": True})


def _refusal_reason(workspace_id: UUID) -> ColumnElement[str | None]:
    """Return the SQL for why a draft can never be sent, null if it can."""
    return case(
        (LeadEnrollment.status.not_in(LIVE_STATUSES), func.concat("the enrollment is ", LeadEnrollment.status)),
        (Sequence.deleted_at.is_not(None), "the sequence was deleted"),
        else_=block_reason(workspace_id),
    )


async def find_refusal_reason(session: AsyncSession, draft: EmailDraft) -> str | None:
    """Return why a draft can never be sent, or None if it can."""
    statement = (
        select(_refusal_reason(draft.workspace_id))
        .select_from(LeadEnrollment)
        .join(Lead, Lead.id == LeadEnrollment.lead_id)
        .join(Sequence, Sequence.id == LeadEnrollment.sequence_id)
        .where(LeadEnrollment.id == draft.enrollment_id)
    )
    return await session.scalar(statement)


async def approve_drafts(
    session: AsyncSession, workspace_id: UUID, *, draft_ids: Rows[UUID] | None, sequence_id: UUID | None
) -> dict[UUID, str | None]:
    """Mark drafts that wait for review as reviewed, in one statement; drafts that can never be sent do not change.

    Returns each draft that waited, with None or the reason why it can never be sent.
    """
    event = DraftEvent.APPROVED
    waiting = (
        select(EmailDraft.id, _refusal_reason(workspace_id).label("refusal_reason"))
        .join(LeadEnrollment, LeadEnrollment.id == EmailDraft.enrollment_id)
        .join(Lead, Lead.id == EmailDraft.lead_id)
        .join(Sequence, Sequence.id == EmailDraft.sequence_id)
        .where(EmailDraft.workspace_id == workspace_id, EmailDraft.status.in_(source_statuses(event)))
        .order_by(EmailDraft.id)
        .with_for_update(key_share=True, of=EmailDraft)
    )
    if draft_ids is not None:
        waiting = waiting.where(EmailDraft.id == id_in(draft_ids))
    if sequence_id is not None:
        waiting = waiting.where(EmailDraft.sequence_id == sequence_id)
    locked = waiting.cte("locked")
    approved = (
        update(EmailDraft)
        .where(EmailDraft.id == locked.c.id, locked.c.refusal_reason.is_(None))
        .values(status=DraftStatus.REVIEWED)
        .cte("approved")
    )
    return dict((await session.execute(select(locked.c.id, locked.c.refusal_reason).add_cte(approved))).all())


async def find_existing_ids(session: AsyncSession, workspace_id: UUID, draft_ids: Rows[UUID]) -> set[UUID]:
    """Return those of these ids that are drafts of the workspace."""
    statement = select(EmailDraft.id).where(EmailDraft.workspace_id == workspace_id, EmailDraft.id == id_in(draft_ids))
    return set((await session.scalars(statement)).all())


def select_score_jobs(
    workspace_id: UUID, draft_ids: Rows[UUID], payload: dict[str, Any], now: datetime
) -> Select[tuple[dict[str, Any], datetime]]:
    """Return a query for the (payload, run at) of a scoring job for each of these drafts that has a trace."""
    job_payload = func.jsonb_build_object("draftId", EmailDraft.id).op("||")(cast(payload, JSONB))
    return select(job_payload, cast(now, EmailDraft.send_at.type)).where(
        EmailDraft.workspace_id == workspace_id,
        EmailDraft.id == id_in(draft_ids),
        EmailDraft.generation["trace_id"].astext.is_not(None),
    )


def select_send_jobs(
    workspace_id: UUID, draft_ids: Rows[UUID], now: datetime
) -> Select[tuple[dict[str, Any], datetime]]:
    """Return a query for the (payload, run at) of a send job for each of these drafts."""
    return select(
        func.jsonb_build_object("draftId", EmailDraft.id),
        func.greatest(EmailDraft.send_at, cast(now, EmailDraft.send_at.type)),
    ).where(EmailDraft.workspace_id == workspace_id, EmailDraft.id == id_in(draft_ids))

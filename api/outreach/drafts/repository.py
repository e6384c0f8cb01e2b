"""The SQL of drafts."""

import json
from collections.abc import Collection
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from datetime import datetime
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

from api.http.pagination import PageRequest, paged
from api.outreach.enrollments.repository import among, unmailable
from database.models import EmailDraft, Lead, LeadEnrollment, SendAttempt, Sequence, SequenceStep, Workspace
from domain.draft import DraftEvent, DraftStatus, sources_of
from domain.enrollment import LIVE

_STORE = text(
    """
    UPDATE app.email_drafts AS draft
       SET status = made.status, subject = made.subject, body = made.body, body_html = made.body_html,
           error_reason = made.error_reason, generation = made.generation, written = NULL
      FROM jsonb_to_recordset(CAST(:written AS jsonb)) AS made
           (id uuid, status text, subject text, body text, body_html text, error_reason text, generation jsonb)
     WHERE draft.id = made.id AND draft.workspace_id = :workspace_id AND draft.status = ANY(CAST(:sources AS text[]))
    RETURNING draft.*
    """
)


# Not by the order of steps, which may have changed between them.
_THREADS = text(
    """
    SELECT enrollment_id, 'sent' AS direction, subject, body AS text, sent_at AS at, id
      FROM app.email_drafts
     WHERE enrollment_id = ANY(CAST(:threads AS uuid[])) AND status = 'sent'
    UNION ALL
    SELECT enrollment_id, 'received', subject, text, received_at, id
      FROM app.replies
     WHERE enrollment_id = ANY(CAST(:threads AS uuid[])) AND NOT is_automatic
     ORDER BY enrollment_id, at, id
    """
)


@dataclass(frozen=True, slots=True)
class Material:
    """All that a draft is written from."""

    draft: EmailDraft
    step: SequenceStep
    lead: Lead
    sequence: Sequence
    workspace: Workspace


async def find_draft(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> EmailDraft | None:
    """Return a draft."""
    return await session.scalar(
        select(EmailDraft).where(EmailDraft.workspace_id == workspace_id, EmailDraft.id == draft_id)
    )


async def hold_draft(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> EmailDraft | None:
    """Return a draft as it is now, held until the transaction ends."""
    statement = (
        select(EmailDraft)
        .where(EmailDraft.workspace_id == workspace_id, EmailDraft.id == draft_id)
        .with_for_update(key_share=True)
    )
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def find_materials(session: AsyncSession, workspace_id: UUID, draft_ids: Rows[UUID]) -> list[Material]:
    """Return what these drafts are written from; those that are not pending, or whose lead is gone, are left out."""
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


async def earlier_messages(session: AsyncSession, drafts: Rows[EmailDraft]) -> Rows[Row[Any]]:
    """Return what was sent and what people answered in the enrollments of these drafts, in order.

    Rows of `enrollment_id`, `direction` (sent or received), `subject`, `text`.
    """
    threads = [draft.enrollment_id for draft in drafts if draft.step_order > 1]
    if not threads:
        return []
    found: Rows[Row[Any]] = (await session.execute(_THREADS, {"threads": threads})).all()
    return found


async def store(session: AsyncSession, workspace_id: UUID, written: Rows[dict[str, Any]]) -> Rows[EmailDraft]:
    """Store what pending drafts have become, in one statement; returns those that were still pending.

    Each of `written` has id, status, subject, body, body_html, error_reason, generation.
    """
    rows = await session.scalars(
        select(EmailDraft).from_statement(_STORE),
        {
            "workspace_id": workspace_id,
            "written": json.dumps([{**row, "id": str(row["id"])} for row in written]),
            "sources": sorted(sources_of(DraftEvent.WRITTEN)),
        },
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
    statement = select(EmailDraft).where(EmailDraft.workspace_id == workspace_id)
    if status is not None:
        statement = statement.where(EmailDraft.status == status)
    if sequence_id is not None:
        statement = statement.where(EmailDraft.sequence_id == sequence_id)
    if lead_id is not None:
        statement = statement.where(EmailDraft.lead_id == lead_id)
    if enrollment_id is not None:
        statement = statement.where(EmailDraft.enrollment_id == enrollment_id)
    return (await session.scalars(paged(statement, EmailDraft.id, page))).all()


async def change(
    session: AsyncSession,
    workspace_id: UUID,
    draft_id: UUID,
    sources: Collection[DraftStatus],
    values: dict[str, Any],
) -> EmailDraft | None:
    """Change a draft that is in one of `sources` and not being sent, and return it, or None when it is not."""
    statement = (
        update(EmailDraft)
        .where(EmailDraft.workspace_id == workspace_id, EmailDraft.id == draft_id, EmailDraft.status.in_(sources))
        .where(~exists().where(SendAttempt.draft_id == EmailDraft.id))
        .values(**values)
        .returning(EmailDraft)
    )
    return await session.scalar(statement, execution_options={"populate_existing": True})


def _refusal(workspace_id: UUID) -> ColumnElement[str | None]:
    """Return why the draft of a statement cannot go out any more, null where it can."""
    return case(
        (LeadEnrollment.status.not_in(LIVE), func.concat("the enrollment is ", LeadEnrollment.status)),
        (Sequence.deleted_at.is_not(None), "the sequence was deleted"),
        else_=unmailable(workspace_id),
    )


async def find_refusal(session: AsyncSession, draft: EmailDraft) -> str | None:
    """Return why a draft cannot go out any more, or None where it can."""
    statement = (
        select(_refusal(draft.workspace_id))
        .select_from(LeadEnrollment)
        .join(Lead, Lead.id == LeadEnrollment.lead_id)
        .join(Sequence, Sequence.id == LeadEnrollment.sequence_id)
        .where(LeadEnrollment.id == draft.enrollment_id)
    )
    return await session.scalar(statement)


async def approve(
    session: AsyncSession, workspace_id: UUID, *, draft_ids: Rows[UUID] | None, sequence_id: UUID | None
) -> dict[UUID, str | None]:
    """Mark drafts that wait for review as reviewed, in one statement.

    Returns for each that waited None, or why it cannot go out any more and was left as it is.
    """
    event = DraftEvent.APPROVED
    waiting = (
        select(EmailDraft.id, _refusal(workspace_id).label("refusal"))
        .join(LeadEnrollment, LeadEnrollment.id == EmailDraft.enrollment_id)
        .join(Lead, Lead.id == EmailDraft.lead_id)
        .join(Sequence, Sequence.id == EmailDraft.sequence_id)
        .where(EmailDraft.workspace_id == workspace_id, EmailDraft.status.in_(sources_of(event)))
        .order_by(EmailDraft.id)
        .with_for_update(key_share=True, of=EmailDraft)
    )
    if draft_ids is not None:
        waiting = waiting.where(EmailDraft.id == among(draft_ids))
    if sequence_id is not None:
        waiting = waiting.where(EmailDraft.sequence_id == sequence_id)
    asked = waiting.cte("asked")
    approved = (
        update(EmailDraft)
        .where(EmailDraft.id == asked.c.id, asked.c.refusal.is_(None))
        .values(status=DraftStatus.REVIEWED)
        .cte("approved")
    )
    return dict((await session.execute(select(asked.c.id, asked.c.refusal).add_cte(approved))).all())


async def which_exist(session: AsyncSession, workspace_id: UUID, draft_ids: Rows[UUID]) -> set[UUID]:
    """Return those of these drafts that the workspace has."""
    statement = select(EmailDraft.id).where(EmailDraft.workspace_id == workspace_id, EmailDraft.id == among(draft_ids))
    return set((await session.scalars(statement)).all())


def scores_of(
    workspace_id: UUID, draft_ids: Rows[UUID], payload: dict[str, Any], now: datetime
) -> Select[tuple[dict[str, Any], datetime]]:
    """Return the (payload, due) of the job that scores the trace of each of these drafts that has one."""
    told = func.jsonb_build_object("draftId", EmailDraft.id).op("||")(cast(payload, JSONB))
    return select(told, cast(now, EmailDraft.send_at.type)).where(
        EmailDraft.workspace_id == workspace_id,
        EmailDraft.id == among(draft_ids),
        EmailDraft.generation["trace_id"].astext.is_not(None),
    )


def sends_of(workspace_id: UUID, draft_ids: Rows[UUID], now: datetime) -> Select[tuple[dict[str, Any], datetime]]:
    """Return the (payload, due) of the job that sends each of these drafts."""
    return select(
        func.jsonb_build_object("draftId", EmailDraft.id),
        func.greatest(EmailDraft.send_at, cast(now, EmailDraft.send_at.type)),
    ).where(EmailDraft.workspace_id == workspace_id, EmailDraft.id == among(draft_ids))

"""The SQL of drafts."""

import json
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from api.pagination import PageRequest, paged
from database.models import DraftStatus, EmailDraft, Lead, SendAttempt, Sequence, SequenceStep, Workspace

_STORE = text(
    """
    UPDATE app.email_drafts AS draft
       SET status = made.status, subject = made.subject, body = made.body, body_html = made.body_html,
           error_reason = made.error_reason, generation = made.generation
      FROM jsonb_to_recordset(CAST(:written AS jsonb)) AS made
           (id uuid, status text, subject text, body text, body_html text, error_reason text, generation jsonb)
     WHERE draft.id = made.id AND draft.workspace_id = :workspace_id AND draft.status = 'pending'
    RETURNING draft.*
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


async def earlier_messages(session: AsyncSession, drafts: Rows[EmailDraft]) -> Rows[EmailDraft]:
    """Return what was sent in the enrollments of these drafts before, in order."""
    statement = (
        select(EmailDraft)
        .where(
            EmailDraft.enrollment_id.in_([draft.enrollment_id for draft in drafts if draft.step_order > 1]),
            EmailDraft.status == DraftStatus.SENT,
        )
        .order_by(EmailDraft.enrollment_id, EmailDraft.step_order)
    )
    return (await session.scalars(statement)).all()


async def store(session: AsyncSession, workspace_id: UUID, written: Rows[dict[str, Any]]) -> Rows[EmailDraft]:
    """Store what pending drafts have become, in one statement; returns those that were still pending.

    Each of `written` has id, status, subject, body, body_html, error_reason, generation.
    """
    rows = await session.scalars(
        select(EmailDraft).from_statement(_STORE),
        {"workspace_id": workspace_id, "written": json.dumps([{**row, "id": str(row["id"])} for row in written])},
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
) -> Rows[EmailDraft]:
    """Return the workspace's drafts, newest first, one more than the page holds."""
    statement = select(EmailDraft).where(EmailDraft.workspace_id == workspace_id)
    if status is not None:
        statement = statement.where(EmailDraft.status == status)
    if sequence_id is not None:
        statement = statement.where(EmailDraft.sequence_id == sequence_id)
    if lead_id is not None:
        statement = statement.where(EmailDraft.lead_id == lead_id)
    return (await session.scalars(paged(statement, EmailDraft.id, page))).all()


async def change(
    session: AsyncSession,
    workspace_id: UUID,
    draft_id: UUID,
    sources: Rows[DraftStatus],
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


async def approve(
    session: AsyncSession, workspace_id: UUID, *, draft_ids: Rows[UUID] | None, sequence_id: UUID | None
) -> Rows[EmailDraft]:
    """Mark drafts that wait for review as reviewed and return them."""
    statement = update(EmailDraft).where(
        EmailDraft.workspace_id == workspace_id, EmailDraft.status == DraftStatus.DRAFTED
    )
    if draft_ids is not None:
        statement = statement.where(EmailDraft.id.in_(draft_ids))
    if sequence_id is not None:
        statement = statement.where(EmailDraft.sequence_id == sequence_id)
    rows = await session.scalars(statement.values(status=DraftStatus.REVIEWED).returning(EmailDraft))
    return rows.all()

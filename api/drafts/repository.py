"""The SQL of drafts."""

from collections.abc import Sequence as Rows
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from api.pagination import PageRequest, paged
from database.models import DraftStatus, EmailDraft, Lead, SendAttempt, Sequence, SequenceStep, Workspace


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


async def find_material(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> Material | None:
    """Return what a draft is written from, or None when it or its lead is gone."""
    statement = (
        select(EmailDraft, SequenceStep, Lead, Sequence, Workspace)
        .join(SequenceStep, SequenceStep.id == EmailDraft.step_id)
        .join(Lead, Lead.id == EmailDraft.lead_id)
        .join(Sequence, Sequence.id == EmailDraft.sequence_id)
        .join(Workspace, Workspace.id == EmailDraft.workspace_id)
        .where(EmailDraft.workspace_id == workspace_id, EmailDraft.id == draft_id, Lead.deleted_at.is_(None))
    )
    row = (await session.execute(statement)).one_or_none()
    return Material(*row) if row else None


async def earlier_messages(session: AsyncSession, draft: EmailDraft) -> Rows[EmailDraft]:
    """Return what was sent to the lead in this enrollment before, in order."""
    statement = (
        select(EmailDraft)
        .where(
            EmailDraft.enrollment_id == draft.enrollment_id,
            EmailDraft.status == DraftStatus.SENT,
            EmailDraft.step_order < draft.step_order,
        )
        .order_by(EmailDraft.step_order)
    )
    return (await session.scalars(statement)).all()


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

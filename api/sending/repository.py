"""The SQL of sending: what is re-read under the claim, the claim itself, and how it ended."""

from collections.abc import Sequence as Rows
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.suppressions.repository import suppressed
from database.models import (
    DraftStatus,
    EmailDraft,
    Lead,
    LeadEnrollment,
    SendAttempt,
    SendOutcome,
    Sequence,
    SequenceStep,
    Workspace,
)
from domain.enrollment import EnrollmentStatus


@dataclass(frozen=True, slots=True)
class Candidate:
    """A draft about to be sent with all that may forbid it, read and held in the claiming transaction."""

    draft: EmailDraft
    enrollment: LeadEnrollment
    sequence: Sequence
    lead: Lead
    workspace: Workspace
    is_suppressed: bool


async def hold(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> Candidate | None:
    """Return a draft with what may forbid its sending.

    The enrollment, lead and sequence are held in share mode: a stop that has committed is seen, and one that has not
    must wait until this transaction ends.
    """
    statement = (
        select(EmailDraft, LeadEnrollment, Sequence, Lead, Workspace, suppressed(workspace_id, Lead.email))
        .join(LeadEnrollment, LeadEnrollment.id == EmailDraft.enrollment_id)
        .join(Sequence, Sequence.id == EmailDraft.sequence_id)
        .join(Lead, Lead.id == EmailDraft.lead_id)
        .join(Workspace, Workspace.id == EmailDraft.workspace_id)
        .where(EmailDraft.workspace_id == workspace_id, EmailDraft.id == draft_id)
        .with_for_update(read=True, of=[LeadEnrollment, Lead, Sequence])
    )
    row = (await session.execute(statement)).one_or_none()
    return Candidate(*row) if row else None


async def hold_cap(session: AsyncSession, workspace_id: UUID) -> None:
    """Take turns with other claims of the workspace, so that a daily cap is counted exactly."""
    await session.execute(select(Workspace.id).where(Workspace.id == workspace_id).with_for_update(key_share=True))


async def claimed_since(session: AsyncSession, workspace_id: UUID, start: datetime) -> int:
    """Return how many sends the workspace has claimed since `start`."""
    counted = select(func.count()).where(SendAttempt.workspace_id == workspace_id, SendAttempt.claimed_at >= start)
    return await session.scalar(counted) or 0


async def claim(session: AsyncSession, workspace_id: UUID, draft_id: UUID, now: datetime) -> bool:
    """Insert the one permission to call the provider for a draft; False when it was given before."""
    statement = (
        insert(SendAttempt)
        .values(workspace_id=workspace_id, draft_id=draft_id, claimed_at=now)
        .on_conflict_do_nothing(index_elements=["draft_id"])
        .returning(SendAttempt.id)
    )
    return await session.scalar(statement) is not None


async def withdraw(session: AsyncSession, draft_id: UUID) -> None:
    """Take a claim back whose call is proved to have had no effect, so that it may be made again."""
    await session.execute(
        delete(SendAttempt).where(SendAttempt.draft_id == draft_id, SendAttempt.outcome == SendOutcome.CLAIMED)
    )


async def record(
    session: AsyncSession,
    draft_id: UUID,
    outcome: SendOutcome,
    *,
    transaction_id: str | None = None,
    error: str | None = None,
) -> bool:
    """Record how an open claim ended; False when that is known already."""
    statement = (
        update(SendAttempt)
        .where(
            SendAttempt.draft_id == draft_id,
            SendAttempt.outcome.in_([SendOutcome.CLAIMED, SendOutcome.UNKNOWN]),
            SendAttempt.outcome != outcome,
        )
        .values(outcome=outcome, everlytic_transaction_id=transaction_id, error=error, recorded_at=func.now())
        .returning(SendAttempt.id)
    )
    return await session.scalar(statement) is not None


async def set_draft(session: AsyncSession, draft_id: UUID, values: dict[str, Any]) -> None:
    """Change a draft on its way out."""
    await session.execute(update(EmailDraft).where(EmailDraft.id == draft_id).values(**values))


async def find_attempt(session: AsyncSession, draft_id: UUID) -> SendAttempt | None:
    """Return the one attempt to send a draft."""
    return await session.scalar(select(SendAttempt).where(SendAttempt.draft_id == draft_id))


async def next_step(session: AsyncSession, sequence_id: UUID, after: int) -> SequenceStep | None:
    """Return the step that follows in a sequence."""
    return await session.scalar(
        select(SequenceStep)
        .where(SequenceStep.sequence_id == sequence_id, SequenceStep.step_order > after)
        .order_by(SequenceStep.step_order)
        .limit(1)
    )


async def add_draft(session: AsyncSession, before: EmailDraft, step: SequenceStep, send_at: datetime) -> UUID | None:
    """Insert the pending draft of the step after `before`; None when it is there already."""
    statement = (
        insert(EmailDraft)
        .values(
            workspace_id=before.workspace_id,
            lead_id=before.lead_id,
            enrollment_id=before.enrollment_id,
            sequence_id=before.sequence_id,
            step_id=step.id,
            step_order=step.step_order,
            send_at=send_at,
        )
        .on_conflict_do_nothing(index_elements=["enrollment_id", "step_id"])
        .returning(EmailDraft.id)
    )
    draft_id: UUID | None = await session.scalar(statement)
    return draft_id


async def advance(session: AsyncSession, enrollment_id: UUID, step_order: int, next_run_at: datetime) -> None:
    """Set which step an enrollment waits for, and until when."""
    await session.execute(
        update(LeadEnrollment)
        .where(LeadEnrollment.id == enrollment_id)
        .values(current_step_order=step_order, next_run_at=next_run_at)
    )


async def waiting_drafts(
    session: AsyncSession, workspace_id: UUID, *, sequence_id: UUID | None, enrollment_id: UUID | None
) -> Rows[EmailDraft]:
    """Return reviewed drafts of active enrollments that nobody has tried to send."""
    statement = (
        select(EmailDraft)
        .join(LeadEnrollment, LeadEnrollment.id == EmailDraft.enrollment_id)
        .where(
            EmailDraft.workspace_id == workspace_id,
            EmailDraft.status == DraftStatus.REVIEWED,
            LeadEnrollment.status == EnrollmentStatus.ACTIVE,
            ~exists().where(SendAttempt.draft_id == EmailDraft.id),
        )
    )
    if sequence_id is not None:
        statement = statement.where(EmailDraft.sequence_id == sequence_id)
    if enrollment_id is not None:
        statement = statement.where(EmailDraft.enrollment_id == enrollment_id)
    return (await session.scalars(statement)).all()

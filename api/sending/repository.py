"""The SQL of sending: what is re-read under the claim, the claim itself, and how it ended."""

from collections.abc import Collection, Mapping
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, func, select, text, update
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
    """A draft on its way out with what may forbid its sending or follows from it."""

    draft: EmailDraft
    enrollment: LeadEnrollment
    sequence: Sequence
    lead: Lead
    is_suppressed: bool


_ACCEPT = text(
    """
    WITH accepted AS (
      UPDATE app.send_attempts AS attempt
         SET outcome = 'accepted', everlytic_transaction_id = told.transaction_id, error = NULL, recorded_at = now()
        FROM unnest(CAST(:draft_ids AS uuid[]), CAST(:transaction_ids AS text[])) AS told (draft_id, transaction_id)
       WHERE attempt.draft_id = told.draft_id AND attempt.workspace_id = :workspace_id
         AND attempt.outcome IN ('claimed', 'unknown')
      RETURNING attempt.draft_id, told.transaction_id
    )
    UPDATE app.email_drafts AS draft
       SET status = 'sent', sent_at = :now, error_reason = NULL, everlytic_message_id = accepted.transaction_id
      FROM accepted
     WHERE draft.id = accepted.draft_id
    RETURNING draft.id
    """
)

_ADVANCE = text(
    """
    UPDATE app.lead_enrollments AS enrollment
       SET current_step_order = next.step_order, next_run_at = next.send_at
      FROM unnest(CAST(:ids AS uuid[]), CAST(:step_orders AS int[]), CAST(:send_ats AS timestamptz[]))
        AS next (id, step_order, send_at)
     WHERE enrollment.id = next.id AND enrollment.workspace_id = :workspace_id
    """
)


@dataclass(frozen=True, slots=True)
class NextStep:
    """The step that follows a draft, and when it goes out."""

    before: EmailDraft
    step: SequenceStep
    send_at: datetime


async def hold(session: AsyncSession, workspace_id: UUID, draft_ids: Rows[UUID], *, to_change: bool) -> list[Candidate]:
    """Return drafts with what may forbid their sending, held until the transaction ends.

    Leads, then enrollments and sequences: in share mode to claim, so that a stop that has committed is seen and one
    that has not must wait; against every change to record. Leads come first, as they do in every stop.
    """
    await session.execute(
        select(Lead.id)
        .where(
            Lead.workspace_id == workspace_id,
            Lead.id.in_(select(EmailDraft.lead_id).where(EmailDraft.id.in_(draft_ids))),
        )
        .order_by(Lead.id)
        .with_for_update(read=not to_change, key_share=to_change)
    )
    statement = (
        select(EmailDraft, LeadEnrollment, Sequence, Lead, suppressed(workspace_id, Lead.email))
        .join(LeadEnrollment, LeadEnrollment.id == EmailDraft.enrollment_id)
        .join(Sequence, Sequence.id == EmailDraft.sequence_id)
        .join(Lead, Lead.id == EmailDraft.lead_id)
        .where(EmailDraft.workspace_id == workspace_id, EmailDraft.id.in_(draft_ids))
        .order_by(LeadEnrollment.id)
    )
    if to_change:
        statement = statement.with_for_update(key_share=True, of=[LeadEnrollment])
    else:
        statement = statement.with_for_update(read=True, of=[LeadEnrollment, Sequence])
    return [Candidate(*row) for row in await session.execute(statement)]


async def hold_cap(session: AsyncSession, workspace_id: UUID) -> None:
    """Take turns with other claims of the workspace, so that a daily cap is counted exactly."""
    await session.execute(select(Workspace.id).where(Workspace.id == workspace_id).with_for_update(key_share=True))


async def claimed_since(session: AsyncSession, workspace_id: UUID, start: datetime) -> int:
    """Return how many sends the workspace has claimed since `start`."""
    counted = select(func.count()).where(SendAttempt.workspace_id == workspace_id, SendAttempt.claimed_at >= start)
    return await session.scalar(counted) or 0


async def claim(session: AsyncSession, workspace_id: UUID, draft_ids: Rows[UUID], now: datetime) -> set[UUID]:
    """Insert the one permission to call the provider for each draft; returns those that had none before."""
    statement = (
        insert(SendAttempt)
        .values([{"workspace_id": workspace_id, "draft_id": draft_id, "claimed_at": now} for draft_id in draft_ids])
        .on_conflict_do_nothing(index_elements=["draft_id"])
        .returning(SendAttempt.draft_id)
    )
    return set((await session.scalars(statement)).all()) if draft_ids else set()


async def accept(
    session: AsyncSession, workspace_id: UUID, transaction_ids: Mapping[UUID, str | None], now: datetime
) -> set[UUID]:
    """Record that the provider took these drafts; returns those of which that was not known yet."""
    parameters = {
        "workspace_id": workspace_id,
        "draft_ids": list(transaction_ids),
        "transaction_ids": list(transaction_ids.values()),
        "now": now,
    }
    return set((await session.scalars(_ACCEPT, parameters)).all())


async def withdraw(session: AsyncSession, draft_id: UUID) -> None:
    """Take a claim back whose call is proved to have had no effect, so that it may be made again."""
    await session.execute(
        delete(SendAttempt).where(SendAttempt.draft_id == draft_id, SendAttempt.outcome == SendOutcome.CLAIMED)
    )


async def refuse(session: AsyncSession, draft_id: UUID, outcome: SendOutcome, error: str) -> bool:
    """Record that an open claim ended without acceptance; False when its end is known already."""
    statement = (
        update(SendAttempt)
        .where(SendAttempt.draft_id == draft_id, SendAttempt.outcome == SendOutcome.CLAIMED)
        .values(outcome=outcome, error=error, recorded_at=func.now())
        .returning(SendAttempt.id)
    )
    return await session.scalar(statement) is not None


async def set_drafts(session: AsyncSession, draft_ids: Rows[UUID], values: dict[str, Any]) -> None:
    """Change drafts on their way out."""
    await session.execute(update(EmailDraft).where(EmailDraft.id.in_(draft_ids)).values(**values))


async def find_attempt(session: AsyncSession, draft_id: UUID) -> SendAttempt | None:
    """Return the one attempt to send a draft."""
    return await session.scalar(select(SendAttempt).where(SendAttempt.draft_id == draft_id))


async def steps_of(session: AsyncSession, sequence_ids: Collection[UUID]) -> Rows[SequenceStep]:
    """Return the steps of these sequences in order."""
    return (
        await session.scalars(
            select(SequenceStep).where(SequenceStep.sequence_id.in_(sequence_ids)).order_by(SequenceStep.step_order)
        )
    ).all()


async def set_on(session: AsyncSession, workspace_id: UUID, steps: Rows[NextStep]) -> Rows[UUID]:
    """Let enrollments wait for their next step, with a pending draft of it; returns the drafts that are new."""
    parameters = {
        "workspace_id": workspace_id,
        "ids": [one.before.enrollment_id for one in steps],
        "step_orders": [one.step.step_order for one in steps],
        "send_ats": [one.send_at for one in steps],
    }
    await session.execute(_ADVANCE, parameters)
    drafts = [
        {
            "workspace_id": workspace_id,
            "lead_id": one.before.lead_id,
            "enrollment_id": one.before.enrollment_id,
            "sequence_id": one.before.sequence_id,
            "step_id": one.step.id,
            "step_order": one.step.step_order,
            "send_at": one.send_at,
        }
        for one in steps
    ]
    statement = insert(EmailDraft).on_conflict_do_nothing(index_elements=["enrollment_id", "step_id"])
    return (await session.scalars(statement.values(drafts).returning(EmailDraft.id))).all()


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

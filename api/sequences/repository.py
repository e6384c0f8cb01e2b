"""The SQL of sequences and steps."""

from collections.abc import Sequence as Rows
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.pagination import PageRequest, paged
from database.models import EmailDraft, LeadEnrollment, Sequence, SequenceStatus, SequenceStep


async def add_sequence(session: AsyncSession, workspace_id: UUID, **values: Any) -> Sequence:
    """Insert a sequence."""
    statement = insert(Sequence).values(workspace_id=workspace_id, **values).returning(Sequence)
    return (await session.scalars(statement)).one()


async def list_sequences(session: AsyncSession, workspace_id: UUID, page: PageRequest) -> Rows[Sequence]:
    """Return the workspace's sequences, newest first, one more than the page holds."""
    statement = select(Sequence).where(Sequence.workspace_id == workspace_id, Sequence.deleted_at.is_(None))
    return (await session.scalars(paged(statement, Sequence.id, page))).all()


async def find_sequence(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> Sequence | None:
    """Return a sequence that is not deleted."""
    return await session.scalar(
        select(Sequence).where(
            Sequence.workspace_id == workspace_id, Sequence.id == sequence_id, Sequence.deleted_at.is_(None)
        )
    )


async def lock_sequence(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> Sequence | None:
    """Return a sequence, held against concurrent changes until the transaction ends."""
    return await session.scalar(
        select(Sequence)
        .where(Sequence.workspace_id == workspace_id, Sequence.id == sequence_id, Sequence.deleted_at.is_(None))
        .with_for_update(key_share=True)
    )


async def list_steps(session: AsyncSession, sequence_id: UUID) -> Rows[SequenceStep]:
    """Return a sequence's steps in order."""
    statement = select(SequenceStep).where(SequenceStep.sequence_id == sequence_id).order_by(SequenceStep.step_order)
    return (await session.scalars(statement)).all()


async def append_step(session: AsyncSession, workspace_id: UUID, sequence_id: UUID, **values: Any) -> SequenceStep:
    """Insert a step after the last; the caller holds the sequence."""
    last = (
        select(func.coalesce(func.max(SequenceStep.step_order), 0) + 1)
        .where(SequenceStep.sequence_id == sequence_id)
        .scalar_subquery()
    )
    statement = insert(SequenceStep).values(
        workspace_id=workspace_id, sequence_id=sequence_id, step_order=last, **values
    )
    return (await session.scalars(statement.returning(SequenceStep))).one()


async def set_status(session: AsyncSession, workspace_id: UUID, sequence_id: UUID, status: SequenceStatus) -> Sequence:
    """Set a sequence's status and return it."""
    statement = (
        update(Sequence)
        .where(Sequence.workspace_id == workspace_id, Sequence.id == sequence_id)
        .values(status=status)
        .returning(Sequence)
    )
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


async def count_enrollments(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> dict[str, int]:
    """Return how many enrollments of a sequence are in each status."""
    statement = (
        select(LeadEnrollment.status, func.count())
        .where(LeadEnrollment.workspace_id == workspace_id, LeadEnrollment.sequence_id == sequence_id)
        .group_by(LeadEnrollment.status)
    )
    return dict((await session.execute(statement)).all())


async def count_drafts(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> dict[str, int]:
    """Return how many drafts of a sequence are in each status."""
    statement = (
        select(EmailDraft.status, func.count())
        .where(EmailDraft.workspace_id == workspace_id, EmailDraft.sequence_id == sequence_id)
        .group_by(EmailDraft.status)
    )
    return dict((await session.execute(statement)).all())

"""The SQL of sequences and steps."""

from collections.abc import Collection
from collections.abc import Sequence as Rows
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.pagination import PageRequest, paged
from database.models import EmailDraft, LeadEnrollment, Sequence, SequenceStep
from database.sql_files import load_statement
from domain.guard import Health, Limits, Share
from domain.sequence import SequenceEvent, next_status, source_statuses

_REORDER = text(
    """
    UPDATE app.sequence_steps AS step
       SET step_order = new_order.position
      FROM unnest(CAST(:step_ids AS uuid[])) WITH ORDINALITY AS new_order (id, position)
     WHERE step.id = new_order.id AND step.workspace_id = :workspace_id AND step.sequence_id = :sequence_id
       AND step.step_order <> new_order.position
    """
)

_HEALTH = text(load_statement(__file__, "get_health"))

# A user who activated a sequence after an earlier bounce of these kinds knew about it. What the mails sent before that
# still report does not pause the sequence again.
_CONCERNED_BY_CONNECTION = text(
    """
    SELECT sequence.id FROM app.sequences AS sequence
     WHERE sequence.workspace_id = :workspace_id AND sequence.status = 'Active' AND sequence.deleted_at IS NULL
       AND (coalesce(sequence.activated_at, '-infinity') <= :sent_at
            OR NOT EXISTS (
              SELECT 1 FROM app.email_events AS event
               WHERE event.workspace_id = sequence.workspace_id AND event.type = 'bounced'
                 AND event.bounce_kind IN ('policy', 'authentication')
                 AND event.occurred_at < sequence.activated_at AND event.synced_at < now()))
     ORDER BY sequence.id
    """
)

_LAST_ERRORS = text(
    """
    SELECT CASE WHEN attempt.outcome = 'rejected' THEN coalesce(attempt.error, '') END
      FROM app.sequences AS sequence
      JOIN app.email_drafts AS draft ON draft.sequence_id = sequence.id
      JOIN app.send_attempts AS attempt ON attempt.draft_id = draft.id
     WHERE sequence.workspace_id = :workspace_id AND sequence.id = :sequence_id
       AND attempt.outcome IN ('accepted', 'rejected')
       AND attempt.claimed_at > coalesce(sequence.activated_at, '-infinity')
     ORDER BY attempt.recorded_at DESC, attempt.id DESC
     LIMIT :limit
    """
)

# Lock in id order to avoid deadlocks (database/locks.py).
_LOCK_SEQUENCES = text(
    """
    SELECT id FROM app.sequences
     WHERE workspace_id = :workspace_id AND id = ANY(CAST(:sequence_ids AS uuid[]))
     ORDER BY id
       FOR NO KEY UPDATE
    """
)


async def add_sequence(session: AsyncSession, workspace_id: UUID, **values: Any) -> Sequence:
    """Insert a sequence."""
    statement = insert(Sequence).values(workspace_id=workspace_id, **values).returning(Sequence)
    return (await session.scalars(statement)).one()


async def list_sequences(session: AsyncSession, workspace_id: UUID, page: PageRequest) -> Rows[Sequence]:
    """Return the workspace's sequences, newest first, one more than the page holds."""
    statement = select(Sequence).where(Sequence.workspace_id == workspace_id, Sequence.deleted_at.is_(None))
    return (await session.scalars(paged(statement, Sequence.id, page))).all()


def _select_sequence(workspace_id: UUID, sequence_id: UUID) -> Select[Sequence]:
    return select(Sequence).where(
        Sequence.workspace_id == workspace_id, Sequence.id == sequence_id, Sequence.deleted_at.is_(None)
    )


async def find_sequence(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> Sequence | None:
    """Return a sequence, None if it does not exist or is deleted."""
    return await session.scalar(_select_sequence(workspace_id, sequence_id))


async def lock_sequence(
    session: AsyncSession, workspace_id: UUID, sequence_id: UUID, *, exclusive: bool
) -> Sequence | None:
    """Return the current sequence, locked until the transaction ends: exclusively to change it, otherwise shared.

    Steps have no locks of their own: to change a step, lock its sequence exclusively.
    """
    statement = _select_sequence(workspace_id, sequence_id).with_for_update(read=not exclusive, key_share=exclusive)
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def change_sequence(
    session: AsyncSession, workspace_id: UUID, sequence_id: UUID, values: dict[str, Any]
) -> Sequence:
    """Change a sequence that the caller has locked."""
    statement = (
        update(Sequence)
        .where(Sequence.workspace_id == workspace_id, Sequence.id == sequence_id)
        .values(**values)
        .returning(Sequence)
    )
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


async def delete_sequence(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> None:
    """Mark a sequence as deleted."""
    await change_sequence(session, workspace_id, sequence_id, {"deleted_at": func.now()})


async def apply_event(
    session: AsyncSession, workspace_id: UUID, sequence_id: UUID, event: SequenceEvent, **values: Any
) -> Sequence | None:
    """Apply an event to a sequence and set `values`; returns None if the event is not legal in its status."""
    sources = source_statuses(event)
    (target,) = {next_status(source, event) for source in sources}
    statement = (
        update(Sequence)
        .where(Sequence.workspace_id == workspace_id, Sequence.id == sequence_id, Sequence.status.in_(sources))
        .values(status=target, **values)
        .returning(Sequence)
    )
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def list_steps(session: AsyncSession, sequence_id: UUID) -> Rows[SequenceStep]:
    """Return the current steps of a sequence in order."""
    statement = select(SequenceStep).where(SequenceStep.sequence_id == sequence_id).order_by(SequenceStep.step_order)
    return (await session.scalars(statement, execution_options={"populate_existing": True})).all()


async def append_step(session: AsyncSession, workspace_id: UUID, sequence_id: UUID, **values: Any) -> SequenceStep:
    """Insert a step after the last; the caller has locked the sequence."""
    next_order = (
        select(func.coalesce(func.max(SequenceStep.step_order), 0) + 1)
        .where(SequenceStep.sequence_id == sequence_id)
        .scalar_subquery()
    )
    statement = insert(SequenceStep).values(
        workspace_id=workspace_id, sequence_id=sequence_id, step_order=next_order, **values
    )
    return (await session.scalars(statement.returning(SequenceStep))).one()


async def change_step(session: AsyncSession, workspace_id: UUID, step_id: UUID, values: dict[str, Any]) -> SequenceStep:
    """Change a step; the caller has locked the sequence."""
    statement = (
        update(SequenceStep)
        .where(SequenceStep.workspace_id == workspace_id, SequenceStep.id == step_id)
        .values(**values)
        .returning(SequenceStep)
    )
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


async def has_drafts(session: AsyncSession, workspace_id: UUID, step: SequenceStep) -> bool:
    """Return whether a step has drafts."""
    statement = exists().where(
        EmailDraft.workspace_id == workspace_id,
        EmailDraft.sequence_id == step.sequence_id,
        EmailDraft.step_id == step.id,
    )
    return bool(await session.scalar(select(statement)))


async def delete_step(session: AsyncSession, workspace_id: UUID, step: SequenceStep) -> None:
    """Delete a step and move the steps after it up; the caller has locked the sequence."""
    await session.execute(
        delete(SequenceStep).where(SequenceStep.workspace_id == workspace_id, SequenceStep.id == step.id)
    )
    await session.execute(
        update(SequenceStep)
        .where(
            SequenceStep.workspace_id == workspace_id,
            SequenceStep.sequence_id == step.sequence_id,
            SequenceStep.step_order > step.step_order,
        )
        .values(step_order=SequenceStep.step_order - 1)
    )


async def reorder_steps(session: AsyncSession, workspace_id: UUID, sequence_id: UUID, step_ids: Rows[UUID]) -> None:
    """Put a sequence's steps in this order; the caller has locked the sequence."""
    await session.execute(
        _REORDER, {"workspace_id": workspace_id, "sequence_id": sequence_id, "step_ids": list(step_ids)}
    )


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


async def get_health(
    session: AsyncSession, workspace_id: UUID, sequence_ids: Collection[UUID], limits: Limits, timezone: str
) -> dict[UUID, Health]:
    """Return the health of the active ones of these sequences, by the samples of the limits and the days of a zone.

    Mails sent before a sequence was last activated do not count: the user who activated it knew about them.
    """
    parameters = {
        "workspace_id": workspace_id,
        "sequence_ids": list(sequence_ids),
        "bounce_sample": limits.bounce_sample,
        "complaint_sample": limits.complaint_sample,
        "timezone": timezone,
    }
    return {
        row.id: Health(
            bounced=Share(row.bounce_sent, row.bounced),
            complained=Share(row.complaint_sent, row.complained),
            worst_day=row.day,
            worst_day_complaints=row.day_complained,
        )
        for row in await session.execute(_HEALTH, parameters)
    }


async def list_concerned_by_connection(session: AsyncSession, workspace_id: UUID, sent_at: datetime) -> Rows[UUID]:
    """Return the active sequences that pause after a mail sent at this time was refused because of the connection."""
    return (await session.scalars(_CONCERNED_BY_CONNECTION, {"workspace_id": workspace_id, "sent_at": sent_at})).all()


async def list_last_errors(
    session: AsyncSession, workspace_id: UUID, sequence_id: UUID, limit: int
) -> Rows[str | None]:
    """Return the errors of a sequence's last mails since its activation, newest first; None for an accepted mail."""
    parameters = {"workspace_id": workspace_id, "sequence_id": sequence_id, "limit": limit}
    return (await session.scalars(_LAST_ERRORS, parameters)).all()


async def lock_sequences(session: AsyncSession, workspace_id: UUID, sequence_ids: Collection[UUID]) -> None:
    """Lock sequences so that no other transaction changes their status until this one ends."""
    await session.execute(_LOCK_SEQUENCES, {"workspace_id": workspace_id, "sequence_ids": list(sequence_ids)})

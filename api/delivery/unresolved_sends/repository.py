"""The SQL of outcomes: sends of unknown outcome, what is known of them, and what was lost on the way."""

from collections.abc import Sequence as Rows
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, and_, cast, exists, func, literal, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from api.http.pagination import PageRequest, paged
from api.outreach.enrollments.repository import among
from database.models import (
    EmailDraft,
    EmailEvent,
    JobStatus,
    Lead,
    LeadEnrollment,
    ScheduledJob,
    SendAttempt,
    SendOutcome,
    SendSettlement,
    Sequence,
    SyncCursor,
)
from domain.draft import DraftEvent, DraftStatus, sources_of
from domain.enrollment import EnrollmentStatus
from domain.job import OPEN
from domain.sequence import SequenceStatus

TRANSACTIONS = "transactions"

# Everlytic's own word, that is here already but was not acted upon yet.
_PROOF = text(
    """
    SELECT 'Everlytic''s transaction list shows it as ' || transaction_id FROM everlytic.transactions
     WHERE workspace_id = :workspace_id AND message_id = CAST(:draft_id AS text)
    UNION ALL
    SELECT 'Everlytic has just told of an event of it' FROM everlytic.callback_events
     WHERE workspace_id = :workspace_id AND applied_at IS NULL AND message_id = CAST(:draft_id AS text)
    UNION ALL
    SELECT 'a webhook about it has just come in' FROM everlytic.webhook_deliveries
     WHERE workspace_id = :workspace_id AND applied_at IS NULL
       AND position(convert_to(CAST(:draft_id AS text), 'UTF8') IN body) > 0
    LIMIT 1
    """
)


def _unknown(workspace_id: UUID) -> Select[Any]:
    """Select the workspace's sends of unknown outcome, each with whom it was for."""
    attempt, draft = SendAttempt, EmailDraft
    columns: list[Any] = [
        *(attempt.id, attempt.draft_id, attempt.claimed_at, attempt.error, attempt.look_ups, attempt.looked_up_at),
        *(draft.enrollment_id, draft.lead_id, draft.sequence_id, draft.step_id, draft.step_order, draft.subject),
        *(Lead.email.label("recipient"), Sequence.name.label("sequence_name")),
    ]
    return (
        select(*columns)
        .join(EmailDraft, EmailDraft.id == attempt.draft_id)
        .join(Lead, Lead.id == EmailDraft.lead_id)
        .join(Sequence, Sequence.id == EmailDraft.sequence_id)
        .where(attempt.workspace_id == workspace_id, attempt.outcome == SendOutcome.UNKNOWN)
    )


async def list_unknown(
    session: AsyncSession, workspace_id: UUID, page: PageRequest, *, claimed_by: datetime | None, after: datetime | None
) -> list[dict[str, Any]]:
    """Return sends of unknown outcome, newest first, one more than the page holds: claimed by then, after then."""
    statement = _unknown(workspace_id)
    if claimed_by is not None:
        statement = statement.where(SendAttempt.claimed_at <= claimed_by)
    if after is not None:
        statement = statement.where(SendAttempt.claimed_at > after)
    found = await session.execute(paged(statement, SendAttempt.id, page))
    return [dict(row) for row in found.mappings()]


async def find_unknown(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> dict[str, Any] | None:
    """Return the send of a draft, if its outcome is unknown."""
    statement = _unknown(workspace_id).where(SendAttempt.draft_id == draft_id)
    found = (await session.execute(statement)).mappings().one_or_none()
    return dict(found) if found is not None else None


async def find_attempt(
    session: AsyncSession, workspace_id: UUID, draft_id: UUID, *, hold: bool = False
) -> SendAttempt | None:
    """Return the attempt to send a draft, as it is now; held until the transaction ends where that is asked."""
    statement = select(SendAttempt).where(SendAttempt.workspace_id == workspace_id, SendAttempt.draft_id == draft_id)
    if hold:
        statement = statement.with_for_update()
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def events_of(
    session: AsyncSession, workspace_id: UUID, draft_ids: Rows[UUID]
) -> dict[UUID, list[dict[str, Any]]]:
    """Return what was heard of each of these drafts, in the order it happened."""
    statement = (
        select(EmailEvent.draft_id, EmailEvent.type, EmailEvent.occurred_at)
        .where(EmailEvent.workspace_id == workspace_id, EmailEvent.draft_id == among(draft_ids))
        .order_by(EmailEvent.occurred_at, EmailEvent.id)
    )
    found: dict[UUID, list[dict[str, Any]]] = {}
    for draft_id, type_, occurred_at in await session.execute(statement):
        found.setdefault(draft_id, []).append({"type": type_, "occurred_at": occurred_at})
    return found


async def settlements_of(session: AsyncSession, workspace_id: UUID, draft_ids: Rows[UUID]) -> Rows[SendSettlement]:
    """Return what was decided about these drafts, in order."""
    statement = (
        select(SendSettlement)
        .where(SendSettlement.workspace_id == workspace_id, SendSettlement.draft_id == among(draft_ids))
        .order_by(SendSettlement.id)
    )
    return (await session.scalars(statement)).all()


async def open_look_ups(
    session: AsyncSession, workspace_id: UUID, job_type: str, draft_ids: Rows[UUID]
) -> dict[str, Row[Any]]:
    """Return (run_at, last_error) of the jobs that will look these drafts up, by the draft's id as text."""
    draft_id = ScheduledJob.payload["draftId"].astext
    statement = select(draft_id, ScheduledJob.run_at, ScheduledJob.last_error).where(
        ScheduledJob.workspace_id == workspace_id,
        ScheduledJob.job_type == job_type,
        ScheduledJob.status.in_(OPEN),
        draft_id.in_([str(one) for one in draft_ids]),
    )
    return {row[0]: row for row in await session.execute(statement)}


async def last_sync(session: AsyncSession, workspace_id: UUID) -> SyncCursor | None:
    """Return how far Everlytic's transaction list was synced."""
    return await session.scalar(
        select(SyncCursor).where(SyncCursor.workspace_id == workspace_id, SyncCursor.resource == TRANSACTIONS)
    )


async def find_proof(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> str | None:
    """Return what Everlytic has told already that proves that it took a mail, as a sentence."""
    found: str | None = await session.scalar(_PROOF, {"workspace_id": workspace_id, "draft_id": str(draft_id)})
    return found


async def note_look_up(session: AsyncSession, workspace_id: UUID, draft_id: UUID, now: datetime) -> None:
    """Note that Everlytic was asked for a send in vain."""
    await session.execute(
        update(SendAttempt)
        .where(
            SendAttempt.workspace_id == workspace_id,
            SendAttempt.draft_id == draft_id,
            SendAttempt.outcome == SendOutcome.UNKNOWN,
        )
        .values(look_ups=SendAttempt.look_ups + 1, looked_up_at=now)
    )


async def add_settlement(session: AsyncSession, **values: Any) -> SendSettlement:
    """Insert what a person decided."""
    return (await session.scalars(insert(SendSettlement).values(**values).returning(SendSettlement))).one()


async def claim_again(
    session: AsyncSession, workspace_id: UUID, draft_ids: Rows[UUID], error: str, now: datetime
) -> None:
    """Claim, with unknown outcome, those of these drafts whose claim was taken back, and hold the leads of all.

    Leads first, as everybody does: who is claiming one of them in this moment is waited for.
    """
    wanted = (EmailDraft.workspace_id == workspace_id, EmailDraft.id == among(draft_ids))
    leads = select(Lead.id).where(
        Lead.workspace_id == workspace_id, Lead.id.in_(select(EmailDraft.lead_id).where(*wanted))
    )
    await session.execute(leads.order_by(Lead.id).with_for_update(key_share=True))
    columns = ["workspace_id", "draft_id", "claimed_at", "outcome", "error", "recorded_at"]
    values = (literal(now), literal(SendOutcome.UNKNOWN.value), literal(error), func.now())
    free = select(EmailDraft.workspace_id, EmailDraft.id, *values).where(
        *wanted, EmailDraft.status.in_(sources_of(DraftEvent.SENT))
    )
    await session.execute(
        insert(SendAttempt)
        .from_select(columns, free.order_by(EmailDraft.id))
        .on_conflict_do_nothing(index_elements=["draft_id"])
    )


def _job_of(
    draft_id: InstrumentedAttribute[UUID], workspace_id: UUID, job_type: str, *statuses: JobStatus
) -> ColumnElement[bool]:
    return exists().where(
        ScheduledJob.workspace_id == workspace_id,
        ScheduledJob.job_type == job_type,
        ScheduledJob.status.in_(statuses),
        ScheduledJob.payload["draftId"].astext == cast(draft_id, Text),
    )


async def lost_claims(
    session: AsyncSession, workspace_id: UUID, job_type: str, *, claimed_before: datetime, most: int
) -> Rows[UUID]:
    """Return drafts that were claimed before then, whose end nobody has recorded and no running job will."""
    statement = (
        select(SendAttempt.draft_id)
        .where(
            SendAttempt.workspace_id == workspace_id,
            SendAttempt.outcome == SendOutcome.CLAIMED,
            SendAttempt.claimed_at < claimed_before,
            ~_job_of(SendAttempt.draft_id, workspace_id, job_type, JobStatus.RUNNING),
        )
        .limit(most)
    )
    return (await session.scalars(statement)).all()


async def unwatched(session: AsyncSession, workspace_id: UUID, job_type: str, *, claimed_after: datetime) -> Rows[UUID]:
    """Return drafts of unknown outcome that were claimed after then and that no job will look up."""
    statement = select(SendAttempt.draft_id).where(
        SendAttempt.workspace_id == workspace_id,
        SendAttempt.outcome == SendOutcome.UNKNOWN,
        SendAttempt.claimed_at > claimed_after,
        ~_job_of(SendAttempt.draft_id, workspace_id, job_type, *OPEN),
    )
    return (await session.scalars(statement)).all()


async def sequences_with_forgotten(
    session: AsyncSession, workspace_id: UUID, *, send_job: str, draft_job: str, now: datetime
) -> Rows[UUID]:
    """Return the active sequences that have drafts due of active enrollments, and no job to send or write them."""
    waits = or_(
        *(
            and_(EmailDraft.status == status, ~_job_of(EmailDraft.id, workspace_id, job_type, *OPEN))
            for status, job_type in ((DraftStatus.REVIEWED, send_job), (DraftStatus.PENDING, draft_job))
        )
    )
    statement = (
        select(EmailDraft.sequence_id)
        .distinct()
        .join(LeadEnrollment, LeadEnrollment.id == EmailDraft.enrollment_id)
        .join(Sequence, Sequence.id == EmailDraft.sequence_id)
        .where(
            EmailDraft.workspace_id == workspace_id,
            EmailDraft.status.in_((DraftStatus.REVIEWED, DraftStatus.PENDING)),
            func.coalesce(EmailDraft.send_at, now) <= now,
            LeadEnrollment.status == EnrollmentStatus.ACTIVE,
            Sequence.status == SequenceStatus.ACTIVE,
            Sequence.deleted_at.is_(None),
            ~exists().where(SendAttempt.draft_id == EmailDraft.id),
            waits,
        )
    )
    return (await session.scalars(statement)).all()

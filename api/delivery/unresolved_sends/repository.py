"""The SQL of unresolved sends: sends of unknown outcome, the evidence for each, and work without a job."""

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
from database.conditions import id_in
from database.models import (
    EmailDraft,
    EmailEvent,
    JobStatus,
    Lead,
    LeadEnrollment,
    ReleasedClaim,
    ScheduledJob,
    SendAttempt,
    SendOutcome,
    SendSettlement,
    Sequence,
    SyncCursor,
)
from domain.draft import DraftEvent, DraftStatus, source_statuses
from domain.enrollment import EnrollmentStatus
from domain.job import OPEN_STATUSES
from domain.sequence import SequenceStatus

TRANSACTIONS = "transactions"

# Proof from Everlytic that is stored already but not applied yet. The texts are parts of an error message.
_FIND_PROOF = text(
    """
    SELECT 'its transaction list contains it as ' || transaction_id FROM everlytic.transactions
     WHERE workspace_id = :workspace_id AND message_id = CAST(:draft_id AS text)
    UNION ALL
    SELECT 'an event of it was just polled' FROM everlytic.callback_events
     WHERE workspace_id = :workspace_id AND applied_at IS NULL AND message_id = CAST(:draft_id AS text)
    UNION ALL
    SELECT 'a webhook about it was just received' FROM everlytic.webhook_deliveries
     WHERE workspace_id = :workspace_id AND applied_at IS NULL
       AND position(convert_to(CAST(:draft_id AS text), 'UTF8') IN body) > 0
    LIMIT 1
    """
)


def _select_unknown_sends(workspace_id: UUID) -> Select[Any]:
    """Return a query for the workspace's sends of unknown outcome, each with its recipient and sequence."""
    attempt, draft = SendAttempt, EmailDraft
    columns: list[Any] = [
        *(attempt.id, attempt.draft_id, attempt.claimed_at, attempt.error, attempt.look_ups, attempt.looked_up_at),
        *(draft.enrollment_id, draft.lead_id, draft.sequence_id, draft.step_id, draft.step_order, draft.subject),
        *(func.coalesce(attempt.recipient, Lead.email).label("recipient"), Sequence.name.label("sequence_name")),
    ]
    return (
        select(*columns)
        .join(EmailDraft, EmailDraft.id == attempt.draft_id)
        .join(Lead, Lead.id == EmailDraft.lead_id)
        .join(Sequence, Sequence.id == EmailDraft.sequence_id)
        .where(attempt.workspace_id == workspace_id, attempt.outcome == SendOutcome.UNKNOWN)
    )


async def list_unknown_sends(
    session: AsyncSession,
    workspace_id: UUID,
    page: PageRequest,
    *,
    claimed_until: datetime | None,
    claimed_after: datetime | None,
) -> list[dict[str, Any]]:
    """Return sends of unknown outcome claimed in a period, newest first, one more than the page holds."""
    statement = _select_unknown_sends(workspace_id)
    if claimed_until is not None:
        statement = statement.where(SendAttempt.claimed_at <= claimed_until)
    if claimed_after is not None:
        statement = statement.where(SendAttempt.claimed_at > claimed_after)
    rows = await session.execute(paged(statement, SendAttempt.id, page))
    return [dict(row) for row in rows.mappings()]


async def find_unknown_send(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> dict[str, Any] | None:
    """Return the send of a draft, if its outcome is unknown."""
    statement = _select_unknown_sends(workspace_id).where(SendAttempt.draft_id == draft_id)
    row = (await session.execute(statement)).mappings().one_or_none()
    return dict(row) if row is not None else None


async def find_attempt(
    session: AsyncSession, workspace_id: UUID, draft_id: UUID, *, lock: bool = False
) -> SendAttempt | None:
    """Return the current attempt to send a draft; with `lock` it is locked until the transaction ends."""
    statement = select(SendAttempt).where(SendAttempt.workspace_id == workspace_id, SendAttempt.draft_id == draft_id)
    if lock:
        statement = statement.with_for_update()
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def list_events(
    session: AsyncSession, workspace_id: UUID, draft_ids: Rows[UUID]
) -> dict[UUID, list[dict[str, Any]]]:
    """Return the events of each of these drafts, in the order in which they occurred."""
    statement = (
        select(EmailEvent.draft_id, EmailEvent.type, EmailEvent.occurred_at)
        .where(EmailEvent.workspace_id == workspace_id, EmailEvent.draft_id == id_in(draft_ids))
        .order_by(EmailEvent.occurred_at, EmailEvent.id)
    )
    events: dict[UUID, list[dict[str, Any]]] = {}
    for draft_id, type_, occurred_at in await session.execute(statement):
        events.setdefault(draft_id, []).append({"type": type_, "occurred_at": occurred_at})
    return events


async def list_settlements(session: AsyncSession, workspace_id: UUID, draft_ids: Rows[UUID]) -> Rows[SendSettlement]:
    """Return the settlements of these drafts, in order."""
    statement = (
        select(SendSettlement)
        .where(SendSettlement.workspace_id == workspace_id, SendSettlement.draft_id == id_in(draft_ids))
        .order_by(SendSettlement.id)
    )
    return (await session.scalars(statement)).all()


async def find_open_lookups(
    session: AsyncSession, workspace_id: UUID, job_type: str, draft_ids: Rows[UUID]
) -> dict[str, Row[Any]]:
    """Return (run_at, last_error) of the jobs that will look up these drafts, by the draft's id as text."""
    draft_id = ScheduledJob.payload["draftId"].astext
    statement = select(draft_id, ScheduledJob.run_at, ScheduledJob.last_error).where(
        ScheduledJob.workspace_id == workspace_id,
        ScheduledJob.job_type == job_type,
        ScheduledJob.status.in_(OPEN_STATUSES),
        draft_id.in_([*map(str, draft_ids)]),
    )
    return {row[0]: row for row in await session.execute(statement)}


async def find_last_sync(session: AsyncSession, workspace_id: UUID) -> SyncCursor | None:
    """Return the state of the sync of Everlytic's transaction list."""
    return await session.scalar(
        select(SyncCursor).where(SyncCursor.workspace_id == workspace_id, SyncCursor.resource == TRANSACTIONS)
    )


async def find_proof(session: AsyncSession, workspace_id: UUID, draft_id: UUID) -> str | None:
    """Return stored proof that Everlytic accepted a mail, as the end of a sentence; None if there is none."""
    proof: str | None = await session.scalar(_FIND_PROOF, {"workspace_id": workspace_id, "draft_id": str(draft_id)})
    return proof


async def record_failed_lookup(session: AsyncSession, workspace_id: UUID, draft_id: UUID, now: datetime) -> None:
    """Count a lookup that did not find a send at Everlytic."""
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
    """Insert the settlement that a user made."""
    return (await session.scalars(insert(SendSettlement).values(**values).returning(SendSettlement))).one()


async def restore_claims(
    session: AsyncSession, workspace_id: UUID, draft_ids: Rows[UUID], error: str, now: datetime
) -> None:
    """Insert claims with unknown outcome for those of these drafts that have none, and lock the leads of all.

    A restored claim says about its mail what the released one said.
    Leads are locked first (database/locks.py); this also waits for a worker that is claiming one of the drafts.
    """
    is_requested = (EmailDraft.workspace_id == workspace_id, EmailDraft.id == id_in(draft_ids))
    leads = select(Lead.id).where(
        Lead.workspace_id == workspace_id, Lead.id.in_(select(EmailDraft.lead_id).where(*is_requested))
    )
    await session.execute(leads.order_by(Lead.id).with_for_update(key_share=True))
    values = {
        "workspace_id": EmailDraft.workspace_id,
        "draft_id": EmailDraft.id,
        "claimed_at": func.coalesce(ReleasedClaim.claimed_at, now),
        "outcome": literal(SendOutcome.UNKNOWN.value),
        "error": literal(error),
        "recorded_at": func.now(),
        "recipient": ReleasedClaim.recipient,
        "recipient_hash": ReleasedClaim.recipient_hash,
        "subject": func.coalesce(ReleasedClaim.subject, ""),
        "template_version": ReleasedClaim.template_version,
        "tracks_opens": func.coalesce(ReleasedClaim.tracks_opens, True),
        "tracks_clicks": func.coalesce(ReleasedClaim.tracks_clicks, True),
    }
    unsent = (
        select(*values.values())
        .outerjoin(ReleasedClaim, ReleasedClaim.draft_id == EmailDraft.id)
        .where(*is_requested, EmailDraft.status.in_(source_statuses(DraftEvent.SENT)))
    )
    await session.execute(
        insert(SendAttempt)
        .from_select([*values], unsent.order_by(EmailDraft.id))
        .on_conflict_do_nothing(index_elements=["draft_id"])
    )


def _has_job(
    draft_id: InstrumentedAttribute[UUID], workspace_id: UUID, job_type: str, *statuses: JobStatus
) -> ColumnElement[bool]:
    return exists().where(
        ScheduledJob.workspace_id == workspace_id,
        ScheduledJob.job_type == job_type,
        ScheduledJob.status.in_(statuses),
        ScheduledJob.payload["draftId"].astext == cast(draft_id, Text),
    )


async def list_lost_claims(
    session: AsyncSession, workspace_id: UUID, job_type: str, *, claimed_before: datetime, limit: int
) -> Rows[UUID]:
    """Return drafts claimed before a time whose outcome is not recorded and that no running job is sending."""
    statement = (
        select(SendAttempt.draft_id)
        .where(
            SendAttempt.workspace_id == workspace_id,
            SendAttempt.outcome == SendOutcome.CLAIMED,
            SendAttempt.claimed_at < claimed_before,
            ~_has_job(SendAttempt.draft_id, workspace_id, job_type, JobStatus.RUNNING),
        )
        .limit(limit)
    )
    return (await session.scalars(statement)).all()


async def list_drafts_without_lookup(
    session: AsyncSession, workspace_id: UUID, job_type: str, *, claimed_after: datetime
) -> Rows[UUID]:
    """Return drafts of unknown outcome, claimed after a time, that no job will look up."""
    statement = select(SendAttempt.draft_id).where(
        SendAttempt.workspace_id == workspace_id,
        SendAttempt.outcome == SendOutcome.UNKNOWN,
        SendAttempt.claimed_at > claimed_after,
        ~_has_job(SendAttempt.draft_id, workspace_id, job_type, *OPEN_STATUSES),
    )
    return (await session.scalars(statement)).all()


async def list_sequences_to_requeue(
    session: AsyncSession, workspace_id: UUID, *, send_job: str, draft_job: str, now: datetime
) -> Rows[UUID]:
    """Return the active sequences with due drafts of active enrollments that no job will send or write."""
    has_no_job = or_(
        *(
            and_(EmailDraft.status == status, ~_has_job(EmailDraft.id, workspace_id, job_type, *OPEN_STATUSES))
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
            has_no_job,
        )
    )
    return (await session.scalars(statement)).all()

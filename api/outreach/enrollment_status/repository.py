"""The SQL that changes the status of enrollments and cancels their unsent drafts."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import exists, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from database.conditions import id_in
from database.locks import SEQUENCE_ENTRY
from database.models import EmailDraft, LeadEnrollment, SendAttempt
from domain.draft import DraftEvent, DraftStatus
from domain.draft import source_statuses as draft_source_statuses
from domain.enrollment import LIVE_STATUSES, EnrollmentEvent, EnrollmentStatus, next_status, source_statuses

# Enrolling takes the entry lock shared, deleting a sequence takes it exclusively. The row of the sequence cannot serve
# as this lock: it is locked after the rows of its enrollments, and the entry lock comes first (database/locks.py).
_LOCK_ENTRY_EXCLUSIVE = text(f"SELECT pg_advisory_xact_lock({SEQUENCE_ENTRY})")
_LOCK_ENTRY_SHARED = text(f"SELECT pg_advisory_xact_lock_shared({SEQUENCE_ENTRY})")


# Locks the enrollments and checks their status under the lock. One statement, so that the history always matches.
_APPLY_EVENT = text(
    """
    WITH locked AS (
      SELECT id, status FROM app.lead_enrollments
       WHERE workspace_id = :workspace_id
         AND (CAST(:lead_ids AS uuid[]) IS NULL OR lead_id = ANY(CAST(:lead_ids AS uuid[])))
         AND (CAST(:ids AS uuid[]) IS NULL OR id = ANY(CAST(:ids AS uuid[])))
         AND (CAST(:sequence_id AS uuid) IS NULL OR sequence_id = CAST(:sequence_id AS uuid))
         AND status = ANY(CAST(:sources AS text[]))
       ORDER BY id
       FOR NO KEY UPDATE
    ),
    changed AS (
      UPDATE app.lead_enrollments AS enrollment
         SET status = :target, pause_reason = :pause_reason, resume_at = CAST(:resume_at AS timestamptz),
             completed_at = CASE WHEN :target = 'completed' THEN CAST(:now AS timestamptz)
                                 ELSE enrollment.completed_at END,
             next_run_at = CASE WHEN :target IN ('completed', 'unsubscribed') THEN NULL ELSE enrollment.next_run_at END
        FROM locked WHERE enrollment.id = locked.id
      RETURNING enrollment.id, locked.status AS from_status
    )
    INSERT INTO app.enrollment_events (workspace_id, enrollment_id, from_status, to_status, event, cause, occurred_at)
    SELECT :workspace_id, id, from_status, :target, :event, :cause, :now FROM changed
    RETURNING enrollment_id
    """
)


async def lock_entry(session: AsyncSession, sequence_id: UUID, *, exclusive: bool) -> None:
    """Lock the entry of a sequence: shared to enroll leads in it, exclusive to delete it."""
    await session.execute(_LOCK_ENTRY_EXCLUSIVE if exclusive else _LOCK_ENTRY_SHARED, {"sequence_id": str(sequence_id)})


async def apply_event(
    session: AsyncSession,
    workspace_id: UUID,
    event: EnrollmentEvent,
    *,
    cause: str,
    now: datetime,
    ids: Sequence[UUID] | None = None,
    lead_ids: Sequence[UUID] | None = None,
    sequence_id: UUID | None = None,
    status: EnrollmentStatus | None = None,
    pause_reason: str | None = None,
    resume_at: datetime | None = None,
) -> list[UUID]:
    """Apply an event to the enrollments in which it is legal, and record their history; returns which have changed.

    They are selected by id, by lead or by sequence, and by status if one is given.
    """
    assert ids is not None or lead_ids is not None or sequence_id is not None
    sources = source_statuses(event)
    (target,) = {next_status(source, event) for source in sources}
    rows = await session.scalars(
        _APPLY_EVENT,
        {
            "workspace_id": workspace_id,
            "ids": list(ids) if ids is not None else None,
            "lead_ids": list(lead_ids) if lead_ids is not None else None,
            "sequence_id": sequence_id,
            "sources": sorted(sources if status is None else sources & {status}),
            "target": target.value,
            "event": event.value,
            "cause": cause,
            "now": now,
            "pause_reason": pause_reason,
            "resume_at": resume_at,
        },
    )
    return list(rows.all())


async def defer_resume(
    session: AsyncSession, workspace_id: UUID, lead_ids: Sequence[UUID], reason: str, resume_at: datetime | None
) -> list[UUID]:
    """Set when the enrollments of these leads that are paused for a reason resume; returns which have changed."""
    paused = (
        select(LeadEnrollment.id)
        .where(
            LeadEnrollment.workspace_id == workspace_id,
            LeadEnrollment.lead_id == id_in(lead_ids),
            LeadEnrollment.status == EnrollmentStatus.PAUSED,
            LeadEnrollment.pause_reason == reason,
        )
        .order_by(LeadEnrollment.id)
        .with_for_update(key_share=True)
        .cte("paused")
    )
    statement = update(LeadEnrollment).where(LeadEnrollment.id == paused.c.id).values(resume_at=resume_at)
    return list((await session.scalars(statement.returning(LeadEnrollment.id))).all())


_LAST_STOPPED_BY = text(
    """
    SELECT enrollment.id
      FROM app.lead_enrollments AS enrollment,
           LATERAL (SELECT event, cause FROM app.enrollment_events
                     WHERE enrollment_id = enrollment.id ORDER BY id DESC LIMIT 1) AS last_event
     WHERE enrollment.workspace_id = :workspace_id AND enrollment.lead_id = :lead_id
       AND last_event.event = :event AND last_event.cause = :cause
    """
)


async def list_stopped_by(
    session: AsyncSession, workspace_id: UUID, lead_id: UUID, event: EnrollmentEvent, cause: str
) -> list[UUID]:
    """Return the enrollments of a lead whose last event is this one, with this cause."""
    parameters = {"workspace_id": workspace_id, "lead_id": lead_id, "event": event.value, "cause": cause}
    return list((await session.scalars(_LAST_STOPPED_BY, parameters)).all())


async def cancel_unsent_drafts(
    session: AsyncSession, workspace_id: UUID, enrollment_ids: Sequence[UUID], reason: str
) -> None:
    """Fail the unsent drafts of enrollments that the caller has locked, except those with a send attempt.

    It must be a separate statement after the one that locked them: only then it sees every send claimed before.
    """
    event = DraftEvent.CANCELLED
    unsent = (
        select(EmailDraft.id)
        .where(
            EmailDraft.workspace_id == workspace_id,
            EmailDraft.enrollment_id == id_in(enrollment_ids),
            EmailDraft.status.in_(draft_source_statuses(event)),
            ~exists().where(SendAttempt.draft_id == EmailDraft.id),
        )
        .order_by(EmailDraft.id)
        .with_for_update(key_share=True)
        .cte("unsent")
    )
    statement = update(EmailDraft).where(EmailDraft.id == unsent.c.id)
    await session.execute(statement.values(status=DraftStatus.FAILED, error_reason=reason))


async def lock_live_enrollments(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> None:
    """Lock all enrollments of a sequence that have not ended."""
    live = (
        select(LeadEnrollment.id)
        .where(
            LeadEnrollment.workspace_id == workspace_id,
            LeadEnrollment.sequence_id == sequence_id,
            LeadEnrollment.status.in_(LIVE_STATUSES),
        )
        .order_by(LeadEnrollment.id)
        .with_for_update(key_share=True)
        .subquery("live")
    )
    await session.execute(select(func.count()).select_from(live))


async def find_enrollment(session: AsyncSession, workspace_id: UUID, enrollment_id: UUID) -> LeadEnrollment | None:
    """Return an enrollment, None if the workspace has none with this id."""
    return await session.scalar(
        select(LeadEnrollment).where(LeadEnrollment.workspace_id == workspace_id, LeadEnrollment.id == enrollment_id)
    )


async def get_statuses(session: AsyncSession, workspace_id: UUID, ids: Sequence[UUID]) -> dict[UUID, EnrollmentStatus]:
    """Return the status of each of these enrollments that exists."""
    statement = select(LeadEnrollment.id, LeadEnrollment.status).where(
        LeadEnrollment.workspace_id == workspace_id, LeadEnrollment.id == id_in(ids)
    )
    return {enrollment_id: EnrollmentStatus(status) for enrollment_id, status in await session.execute(statement)}


async def count_enrollments(
    session: AsyncSession, workspace_id: UUID, sequence_id: UUID, status: EnrollmentStatus | None = None
) -> int:
    """Return how many enrollments a sequence has, in one status if it is given."""
    statement = select(func.count()).where(
        LeadEnrollment.workspace_id == workspace_id, LeadEnrollment.sequence_id == sequence_id
    )
    if status is not None:
        statement = statement.where(LeadEnrollment.status == status)
    return await session.scalar(statement) or 0

"""Changes the status of enrollments: by users, provider events and replies, and at their end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.http.errors import or_404
from api.outreach.enrollment_status import repository
from database import jobs
from database.models import LeadEnrollment
from domain.enrollment import EnrollmentEvent, EnrollmentStatus, next_status
from domain.job_types import RESUME_SENDS

RESUME_BATCH_SIZE = 1000


@dataclass(frozen=True, slots=True)
class BulkChange:
    """The result of a bulk change; `statuses` has the current status of each requested id that exists."""

    ids: frozenset[UUID]
    unchanged: int
    statuses: Mapping[UUID, EnrollmentStatus]


async def get_enrollment(session: AsyncSession, workspace_id: UUID, enrollment_id: UUID) -> LeadEnrollment:
    """Return an enrollment; raises NotFound."""
    enrollment = await repository.find_enrollment(session, workspace_id, enrollment_id)
    return or_404(enrollment, "There is no such enrollment.")


async def pause_enrollment(
    session: AsyncSession, workspace_id: UUID, enrollment_id: UUID, *, cause: str, now: datetime
) -> LeadEnrollment:
    """Pause an enrollment for a user; raises NotFound and InvalidTransition."""
    return await _change_enrollment(session, workspace_id, enrollment_id, EnrollmentEvent.PAUSED, cause=cause, now=now)


async def resume_enrollment(
    session: AsyncSession, workspace_id: UUID, enrollment_id: UUID, *, cause: str, now: datetime
) -> LeadEnrollment:
    """Resume an enrollment and enqueue what the pause has stopped; raises NotFound and InvalidTransition."""
    return await _change_enrollment(session, workspace_id, enrollment_id, EnrollmentEvent.RESUMED, cause=cause, now=now)


async def stop_enrollment(
    session: AsyncSession, workspace_id: UUID, enrollment_id: UUID, *, cause: str, now: datetime
) -> LeadEnrollment:
    """End an enrollment permanently and fail its unsent drafts; raises NotFound and InvalidTransition."""
    return await _change_enrollment(session, workspace_id, enrollment_id, EnrollmentEvent.STOPPED, cause=cause, now=now)


async def _change_enrollment(
    session: AsyncSession, workspace_id: UUID, enrollment_id: UUID, event: EnrollmentEvent, *, cause: str, now: datetime
) -> LeadEnrollment:
    enrollment = await get_enrollment(session, workspace_id, enrollment_id)
    change = await change_enrollments(session, workspace_id, event, ids=[enrollment_id], cause=cause, now=now)
    await session.refresh(enrollment)
    if not change.ids:
        # Raises InvalidTransition.
        next_status(EnrollmentStatus(enrollment.status), event)
    return enrollment


async def change_enrollments(
    session: AsyncSession,
    workspace_id: UUID,
    event: EnrollmentEvent,
    *,
    ids: Sequence[UUID] | None = None,
    sequence_id: UUID | None = None,
    status: EnrollmentStatus | None = None,
    cause: str,
    now: datetime,
) -> BulkChange:
    """Pause, resume or stop enrollments for a user, by id or of a sequence, where the event is legal."""
    matching = 0
    if sequence_id is not None:
        matching = await repository.count_enrollments(session, workspace_id, sequence_id, status)
    changed_ids = await _apply_event(
        session,
        workspace_id,
        event,
        ids=ids,
        sequence_id=sequence_id,
        status=status,
        cause=cause,
        now=now,
        pause_reason="manual" if event is EnrollmentEvent.PAUSED else None,
    )
    if event is EnrollmentEvent.RESUMED:
        await jobs.enqueue(session, RESUME_SENDS, workspace_id, _build_resume_jobs(changed_ids, now))
    statuses = await repository.get_statuses(session, workspace_id, ids) if ids is not None else {}
    return BulkChange(frozenset(changed_ids), max(matching, len(statuses)) - len(changed_ids), statuses)


def _build_resume_jobs(enrollment_ids: Sequence[UUID], now: datetime) -> list[jobs.Job]:
    starts = range(0, len(enrollment_ids), RESUME_BATCH_SIZE)
    batches = [[*map(str, enrollment_ids[start : start + RESUME_BATCH_SIZE])] for start in starts]
    return [
        jobs.Job(now, {"enrollmentId": batch[0]} if len(batch) == 1 else {"enrollmentIds": batch}) for batch in batches
    ]


async def _apply_event(
    session: AsyncSession,
    workspace_id: UUID,
    event: EnrollmentEvent,
    *,
    cause: str,
    now: datetime,
    **selection: Any,
) -> list[UUID]:
    """Apply an event to enrollments; an event that ends them permanently also fails their unsent drafts."""
    changed_ids = await repository.apply_event(session, workspace_id, event, cause=cause, now=now, **selection)
    if changed_ids and event in _END_REASONS:
        reason = f"{_END_REASONS[event]}: {cause}"
        await repository.cancel_unsent_drafts(session, workspace_id, changed_ids, reason)
    return changed_ids


_END_REASONS = {
    EnrollmentEvent.STOPPED: "the enrollment was stopped",
    EnrollmentEvent.UNSUBSCRIBED: "the lead has unsubscribed",
}


async def apply_event_to_leads(
    session: AsyncSession,
    workspace_id: UUID,
    event: EnrollmentEvent,
    lead_ids: Sequence[UUID],
    *,
    cause: str,
    now: datetime,
    resume_at: datetime | None = None,
) -> list[UUID]:
    """Apply an event, such as a bounce or a reply, to the enrollments of these leads; returns which have changed."""
    if not lead_ids:
        return []
    return await _apply_event(
        session,
        workspace_id,
        event,
        lead_ids=lead_ids,
        cause=cause,
        now=now,
        pause_reason=cause if event is EnrollmentEvent.PAUSED else event.value if event in _PAUSING_EVENTS else None,
        resume_at=resume_at,
    )


async def defer_resume(
    session: AsyncSession, workspace_id: UUID, lead_ids: Sequence[UUID], resume_at: datetime | None
) -> list[UUID]:
    """Set when the enrollments of these absent leads resume, None for not by itself; returns which have changed."""
    return await repository.defer_resume(
        session, workspace_id, lead_ids, EnrollmentEvent.OUT_OF_OFFICE.value, resume_at
    )


async def list_stopped_by(session: AsyncSession, workspace_id: UUID, lead_id: UUID, cause: str) -> list[UUID]:
    """Return the enrollments of a lead that a reply with this cause has stopped and that have not changed since."""
    return await repository.list_stopped_by(session, workspace_id, lead_id, EnrollmentEvent.REPLY_RECEIVED, cause)


_PAUSING_EVENTS = {EnrollmentEvent.HARD_BOUNCED, EnrollmentEvent.OUT_OF_OFFICE}


async def complete_enrollments(
    session: AsyncSession, workspace_id: UUID, enrollment_ids: Sequence[UUID], now: datetime
) -> None:
    """Complete active enrollments whose last step was sent."""
    if enrollment_ids:
        event = EnrollmentEvent.ALL_STEPS_DONE
        await repository.apply_event(session, workspace_id, event, ids=enrollment_ids, cause="last step sent", now=now)


async def lock_entry(session: AsyncSession, sequence_id: UUID) -> None:
    """Keep a sequence from being deleted until the transaction ends; other transactions may enroll leads as well."""
    await repository.lock_entry(session, sequence_id, exclusive=False)


async def lock_to_stop(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> None:
    """Lock a sequence against new enrollments, and all its enrollments that have not ended."""
    await repository.lock_entry(session, sequence_id, exclusive=True)
    await repository.lock_live_enrollments(session, workspace_id, sequence_id)


async def stop_enrollments(
    session: AsyncSession, workspace_id: UUID, sequence_id: UUID, *, cause: str, now: datetime
) -> list[UUID]:
    """Stop all enrollments of a sequence that `lock_to_stop` has locked; returns which have changed."""
    event = EnrollmentEvent.STOPPED
    return await repository.apply_event(session, workspace_id, event, sequence_id=sequence_id, cause=cause, now=now)


async def cancel_unsent_drafts(
    session: AsyncSession, workspace_id: UUID, enrollment_ids: Sequence[UUID], reason: str
) -> None:
    """Fail the unsent drafts of these locked enrollments."""
    await repository.cancel_unsent_drafts(session, workspace_id, enrollment_ids, reason)

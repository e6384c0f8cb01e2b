"""Who goes through which sequence, when the next step is due, and what stops it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

import holidays
from sqlalchemy.ext.asyncio import AsyncSession

from api.enrollments import repository
from api.errors import Conflict, NotFound
from api.leads import service as leads
from api.pagination import PageRequest
from api.sequences import service as sequences
from api.workspaces.service import RESUME_SENDS
from database import jobs
from database.models import Lead, LeadEnrollment, SequenceStatus, SequenceStep, Workspace
from domain.enrollment import EnrollmentEvent, EnrollmentStatus, next_status
from domain.schedule import Constraint, SendingTime, SendingWindow, StepDelay, sending_time

GENERATE_DRAFT = "generate_draft"
NO_DELAY = StepDelay()


@dataclass(frozen=True, slots=True)
class Explained:
    """What the schedule says of an enrollment's next step, and what else holds it."""

    enrollment: LeadEnrollment
    time: SendingTime | None
    held_by: str | None


def sending_hours(
    workspace: Workspace,
    zone: str | None,
    *,
    now: datetime,
    previous: datetime | None = None,
    delay: StepDelay = NO_DELAY,
    is_full: Callable[[date], bool] = lambda _day: False,
) -> SendingTime:
    """Ask the schedule on a workspace's terms: in the lead's zone, or the workspace's where the lead has none."""
    return sending_time(
        now=now,
        previous=previous,
        delay=delay,
        zone=ZoneInfo(zone or workspace.timezone),
        window=SendingWindow(workspace.window_start, workspace.window_end, frozenset(workspace.sending_weekdays)),
        is_holiday=_holidays_of(workspace.holidays_country),
        is_full=is_full,
    )


@lru_cache(maxsize=64)
def _holidays_of(country: str | None) -> Callable[[date], bool]:
    if country is None:
        return lambda _day: False
    calendar = holidays.country_holidays(country)
    return lambda day: day in calendar


def delay_of(step: SequenceStep) -> StepDelay:
    """Return a step's delay as the schedule takes it."""
    return StepDelay(step.delay_days, step.delay_hours)


async def enroll(
    session: AsyncSession,
    workspace: Workspace,
    *,
    sequence_id: UUID,
    lead_ids: Sequence[UUID] | None,
    list_id: UUID | None,
    now: datetime,
) -> tuple[int, dict[str, int]]:
    """Enroll leads by id or a whole list; returns how many were, and how many were skipped for which reason.

    Raises NotFound, and Conflict when the sequence is not active.
    """
    sequence = await sequences.get_sequence(session, workspace.id, sequence_id)
    if sequence.status != SequenceStatus.ACTIVE:
        raise Conflict(f"Leads can be enrolled in an active sequence; this one is {sequence.status}.")
    first = (await sequences.list_steps(session, workspace.id, sequence_id))[0]
    chosen = {
        "workspace_id": workspace.id,
        "sequence_id": sequence_id,
        "zone": workspace.timezone,
        "lead_ids": list(lead_ids) if lead_ids is not None else None,
        "list_id": list_id,
    }
    send_ats = {
        zone: sending_hours(workspace, zone, now=now, delay=delay_of(first)).at
        for zone in await repository.zones_of(session, chosen)
    }
    counts = await repository.enroll(session, chosen, step=first, send_ats=send_ats, now=now)
    made = repository.drafts_just_made(workspace.id, sequence_id, now)
    await jobs.enqueue_each(session, GENERATE_DRAFT, workspace.id, made)
    enrolled = counts.pop("enrolled", 0)
    if lead_ids is not None and (unknown := len(set(lead_ids)) - enrolled - sum(counts.values())):
        counts["unknown"] = unknown
    return enrolled, counts


async def list_enrollments(
    session: AsyncSession,
    workspace_id: UUID,
    page: PageRequest,
    *,
    sequence_id: UUID | None,
    lead_id: UUID | None,
    status: EnrollmentStatus | None,
) -> Sequence[LeadEnrollment]:
    """Return the workspace's enrollments, newest first, one more than the page holds."""
    return await repository.list_enrollments(
        session, workspace_id, page, sequence_id=sequence_id, lead_id=lead_id, status=status
    )


async def get_enrollment(session: AsyncSession, workspace_id: UUID, enrollment_id: UUID) -> LeadEnrollment:
    """Return an enrollment; raises NotFound."""
    enrollment = await repository.find_enrollment(session, workspace_id, enrollment_id)
    if enrollment is None:
        raise NotFound("There is no such enrollment.")
    return enrollment


async def pause(session: AsyncSession, workspace_id: UUID, enrollment_id: UUID, now: datetime) -> LeadEnrollment:
    """Pause an enrollment by hand; raises InvalidTransition when it cannot be."""
    return await _move_one(session, workspace_id, enrollment_id, EnrollmentEvent.PAUSED, now, pause_reason="manual")


async def resume(session: AsyncSession, workspace_id: UUID, enrollment_id: UUID, now: datetime) -> LeadEnrollment:
    """Resume an enrollment, and take up what waited; raises InvalidTransition when it cannot be."""
    enrollment = await _move_one(session, workspace_id, enrollment_id, EnrollmentEvent.RESUMED, now)
    waiting = jobs.Job(now, {"enrollmentId": str(enrollment_id)})
    await jobs.enqueue(session, RESUME_SENDS, workspace_id, [waiting])
    return enrollment


async def _move_one(
    session: AsyncSession,
    workspace_id: UUID,
    enrollment_id: UUID,
    event: EnrollmentEvent,
    now: datetime,
    pause_reason: str | None = None,
) -> LeadEnrollment:
    enrollment = await get_enrollment(session, workspace_id, enrollment_id)
    moved = await repository.move(
        session, workspace_id, event, ids=[enrollment_id], cause="by hand", now=now, pause_reason=pause_reason
    )
    await session.refresh(enrollment)
    if not moved:
        next_status(EnrollmentStatus(enrollment.status), event)
    return enrollment


async def stop_leads(
    session: AsyncSession,
    workspace_id: UUID,
    event: EnrollmentEvent,
    lead_ids: Sequence[UUID],
    *,
    cause: str,
    now: datetime,
    resume_at: datetime | None = None,
) -> None:
    """Move every enrollment of these leads that the event is legal for: a bounce, a reply, an absence, a pause."""
    if lead_ids:
        await repository.move(
            session,
            workspace_id,
            event,
            lead_ids=lead_ids,
            cause=cause,
            now=now,
            pause_reason=cause if event is EnrollmentEvent.PAUSED else event.value if event in _PAUSES else None,
            resume_at=resume_at,
        )


_PAUSES = {EnrollmentEvent.HARD_BOUNCED, EnrollmentEvent.OUT_OF_OFFICE}


async def complete(session: AsyncSession, workspace_id: UUID, enrollment_ids: Sequence[UUID], now: datetime) -> None:
    """End active enrollments whose last step has gone out."""
    if enrollment_ids:
        event = EnrollmentEvent.ALL_STEPS_DONE
        await repository.move(session, workspace_id, event, ids=enrollment_ids, cause="last step sent", now=now)


async def unsubscribe_leads(
    session: AsyncSession, workspace_id: UUID, lead_ids: Sequence[UUID], *, cause: str, now: datetime
) -> None:
    """Take a no for good: the address is suppressed, the lead unsubscribed, and nothing more goes out to it."""
    if not lead_ids:
        return
    await leads.unsubscribe(session, workspace_id, lead_ids, cause=cause, now=now)
    await stop_leads(session, workspace_id, EnrollmentEvent.UNSUBSCRIBED, lead_ids, cause=cause, now=now)


async def unsubscribe_lead(
    session: AsyncSession, workspace_id: UUID, lead_id: UUID, *, cause: str, now: datetime
) -> Lead:
    """Take one lead's no and return the lead; raises NotFound."""
    lead = await leads.get_lead(session, workspace_id, lead_id)
    await unsubscribe_leads(session, workspace_id, [lead_id], cause=cause, now=now)
    await session.refresh(lead)
    return lead


async def explain(session: AsyncSession, workspace: Workspace, enrollment_id: UUID, now: datetime) -> Explained:
    """Say when the next step goes out and what holds it, by the function that the engine asks."""
    enrollment = await get_enrollment(session, workspace.id, enrollment_id)
    if enrollment.status in {EnrollmentStatus.COMPLETED, EnrollmentStatus.UNSUBSCRIBED}:
        return Explained(enrollment, None, f"the enrollment is {enrollment.status}")
    sequence = await sequences.get_sequence(session, workspace.id, enrollment.sequence_id)
    planned = await repository.find_draft_time(session, enrollment.id, enrollment.current_step_order)
    zone = await repository.find_lead_zone(session, enrollment.lead_id)
    time = sending_hours(workspace, zone, now=max(now, planned or now))
    if planned is not None and planned > now and time.binding is Constraint.NONE:
        time = SendingTime(time.at, Constraint.STEP_DELAY, ((Constraint.STEP_DELAY, planned), *time.considered))
    held_by = None
    if enrollment.status != EnrollmentStatus.ACTIVE:
        held_by = f"the enrollment is {enrollment.status}"
    elif sequence.status != SequenceStatus.ACTIVE:
        held_by = f"the sequence is {sequence.status}"
    return Explained(enrollment, time, held_by)

"""Who goes through which sequence, when the next step is due, and what stops it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import holidays
from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.workspaces.service import RESUME_SENDS
from api.http.errors import Conflict, NotFound
from api.http.pagination import PageRequest
from api.outreach.enrollments import repository
from api.outreach.sequences import service as sequences
from api.people.lead_lists import service as lists
from api.people.leads import service as leads
from database import jobs
from database.models import Lead, LeadEnrollment, SequenceStep, Workspace
from database.models import Sequence as SequenceRow
from domain.enrollment import EnrollmentEvent, EnrollmentStatus, next_status
from domain.schedule import (
    Constraint,
    Hours,
    NotBefore,
    SendingTime,
    SendingWindow,
    StepDelay,
    add_delay,
    sending_time,
)
from domain.sequence import SequenceStatus

GENERATE_DRAFT = "generate_draft"
RESUMED_AT_ONCE = 1000
NO_DELAY = StepDelay()


@dataclass(frozen=True, slots=True)
class Moved:
    """What a bulk move did; `standing` says of those asked for by id where they stand now, none where there is none."""

    ids: frozenset[UUID]
    unchanged: int
    standing: Mapping[UUID, EnrollmentStatus]


def sending_hours(
    workspace: Workspace,
    zone: str | None,
    *,
    now: datetime,
    previous: datetime | None = None,
    delay: StepDelay = NO_DELAY,
) -> SendingTime:
    """Return when a step may go out by its delay and the recipient's hours; its turn is asked for when it is due.

    `previous` is when the step before left (None: the first step, whose delay counts from `now`).
    """
    hours = hours_of(workspace, zone)
    due = add_delay(previous or now, delay, hours.zone)
    return sending_time(now, [NotBefore(Constraint.STEP_DELAY, due), hours])


def hours_of(workspace: Workspace, zone: str | None) -> Hours:
    """Return the hours in which a recipient in a zone (None: the workspace's) is written to."""
    window = SendingWindow(workspace.window_start, workspace.window_end, frozenset(workspace.sending_weekdays))
    return Hours(ZoneInfo(zone or workspace.timezone), window, holidays_of(workspace.holidays_country))


@lru_cache(maxsize=64)
def holidays_of(country: str | None) -> Callable[[date], bool]:
    """Return what says whether a date is a public holiday of a country; None has none."""
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
    by: UUID,
    now: datetime,
) -> tuple[int, dict[str, int]]:
    """Enroll leads by id or a whole list; returns how many were, and how many were skipped for which reason.

    Raises NotFound, and Conflict when the sequence is not active.
    """
    _require_active(await sequences.get_sequence(session, workspace.id, sequence_id))
    if list_id is not None:
        await lists.get_list(session, workspace.id, list_id)
    chosen = repository.Chosen(lead_ids, list_id)
    await repository.take_room(session)
    await repository.take_turns(session, sequence_id, to_end=False)
    zones = await repository.hold_leads(session, workspace.id, chosen, workspace.timezone)
    sequence = await sequences.hold_as_it_is(session, workspace.id, sequence_id)
    _require_active(sequence)
    first = (await sequences.list_steps(session, sequence))[0]
    send_ats = {zone: sending_hours(workspace, zone, now=now, delay=delay_of(first)).at for zone in (None, *zones)}
    counts = await repository.enroll(session, workspace.id, chosen, step=first, send_ats=send_ats, now=now)
    made = repository.drafts_just_made(workspace.id, sequence_id, now, by)
    await jobs.enqueue_each(session, GENERATE_DRAFT, workspace.id, made)
    enrolled, free = counts.pop("enrolled", 0), counts.pop(None, 0)
    skipped = {reason: leads for reason, leads in counts.items() if reason is not None}
    if free > enrolled:  # somebody else enrolled them at the same moment
        skipped["already_enrolled"] = skipped.get("already_enrolled", 0) + free - enrolled
    if lead_ids is not None and (unknown := len(set(lead_ids)) - enrolled - sum(skipped.values())):
        skipped["unknown"] = unknown
    return enrolled, skipped


def _require_active(sequence: SequenceRow) -> None:
    if sequence.status != SequenceStatus.ACTIVE:
        raise Conflict(f"Leads can be enrolled in an active sequence; this one is {sequence.status}.")


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


async def pause(
    session: AsyncSession, workspace_id: UUID, enrollment_id: UUID, *, cause: str, now: datetime
) -> LeadEnrollment:
    """Pause an enrollment by hand; raises NotFound, and InvalidTransition when it cannot be."""
    return await _move_one(session, workspace_id, enrollment_id, EnrollmentEvent.PAUSED, cause=cause, now=now)


async def resume(
    session: AsyncSession, workspace_id: UUID, enrollment_id: UUID, *, cause: str, now: datetime
) -> LeadEnrollment:
    """Resume an enrollment, and take up what waited; raises NotFound, and InvalidTransition when it cannot be."""
    return await _move_one(session, workspace_id, enrollment_id, EnrollmentEvent.RESUMED, cause=cause, now=now)


async def stop(
    session: AsyncSession, workspace_id: UUID, enrollment_id: UUID, *, cause: str, now: datetime
) -> LeadEnrollment:
    """End an enrollment for good, and what it has not sent; raises NotFound, and InvalidTransition when it is over."""
    return await _move_one(session, workspace_id, enrollment_id, EnrollmentEvent.STOPPED, cause=cause, now=now)


async def _move_one(
    session: AsyncSession, workspace_id: UUID, enrollment_id: UUID, event: EnrollmentEvent, *, cause: str, now: datetime
) -> LeadEnrollment:
    enrollment = await get_enrollment(session, workspace_id, enrollment_id)
    moved = await move_many(session, workspace_id, event, ids=[enrollment_id], cause=cause, now=now)
    await session.refresh(enrollment)
    if not moved.ids:
        next_status(EnrollmentStatus(enrollment.status), event)
    return enrollment


async def move_many(
    session: AsyncSession,
    workspace_id: UUID,
    event: EnrollmentEvent,
    *,
    ids: Sequence[UUID] | None = None,
    sequence_id: UUID | None = None,
    only: EnrollmentStatus | None = None,
    cause: str,
    now: datetime,
) -> Moved:
    """Pause, resume or stop by hand all of these enrollments, or of a sequence's, that the event is legal for.

    Raises NotFound for an unknown sequence.
    """
    matching = 0
    if sequence_id is not None:
        await sequences.get_sequence(session, workspace_id, sequence_id)
        matching = await repository.count(session, workspace_id, sequence_id, only)
    moved = await _move(
        session,
        workspace_id,
        event,
        ids=ids,
        sequence_id=sequence_id,
        only=only,
        cause=cause,
        now=now,
        pause_reason="manual" if event is EnrollmentEvent.PAUSED else None,
    )
    if event is EnrollmentEvent.RESUMED:
        taken_up = [
            jobs.Job(now, {"enrollmentId": str(some[0])} if len(some) == 1 else {"enrollmentIds": [*map(str, some)]})
            for some in (moved[start : start + RESUMED_AT_ONCE] for start in range(0, len(moved), RESUMED_AT_ONCE))
        ]
        await jobs.enqueue(session, RESUME_SENDS, workspace_id, taken_up)
    standing = await repository.statuses_of(session, workspace_id, ids) if ids is not None else {}
    return Moved(frozenset(moved), max(matching, len(standing)) - len(moved), standing)


async def _move(
    session: AsyncSession, workspace_id: UUID, event: EnrollmentEvent, *, cause: str, now: datetime, **which: Any
) -> list[UUID]:
    """Move enrollments; of those that end for good, nothing is left to be reviewed or sent."""
    moved = await repository.move(session, workspace_id, event, cause=cause, now=now, **which)
    if moved and event in _ENDS:
        await repository.call_off(session, workspace_id, moved, f"{_ENDS[event]}: {cause}")
    return moved


_ENDS = {
    EnrollmentEvent.STOPPED: "the enrollment was stopped",
    EnrollmentEvent.UNSUBSCRIBED: "the lead has unsubscribed",
}


async def hold_to_delete(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> SequenceRow:
    """Return a sequence, held with all its live enrollments to be deleted; raises NotFound."""
    await sequences.get_sequence(session, workspace_id, sequence_id)
    await repository.take_turns(session, sequence_id, to_end=True)
    await repository.hold_all_live(session, workspace_id, sequence_id)
    return await sequences.hold_sequence(session, workspace_id, sequence_id)


async def delete_sequence(session: AsyncSession, sequence: SequenceRow, *, cause: str, now: datetime) -> None:
    """Delete a sequence that `hold_to_delete` returned: its enrollments stop, and what was not sent never is."""
    event = EnrollmentEvent.STOPPED
    stopped = await repository.move(
        session, sequence.workspace_id, event, sequence_id=sequence.id, cause=f"sequence deleted {cause}", now=now
    )
    await sequences.delete_held(session, sequence)
    await repository.call_off(session, sequence.workspace_id, stopped, "the sequence was deleted")


async def stop_leads(
    session: AsyncSession,
    workspace_id: UUID,
    event: EnrollmentEvent,
    lead_ids: Sequence[UUID],
    *,
    cause: str,
    now: datetime,
    resume_at: datetime | None = None,
) -> list[UUID]:
    """Move every enrollment of these leads that the event is legal for: a bounce, a reply, an absence, a pause.

    Returns which moved.
    """
    if not lead_ids:
        return []
    return await _move(
        session,
        workspace_id,
        event,
        lead_ids=lead_ids,
        cause=cause,
        now=now,
        pause_reason=cause if event is EnrollmentEvent.PAUSED else event.value if event in _PAUSES else None,
        resume_at=resume_at,
    )


async def put_off(
    session: AsyncSession, workspace_id: UUID, lead_ids: Sequence[UUID], resume_at: datetime | None
) -> list[UUID]:
    """Let what waits for these leads' return wait until another moment, or until somebody resumes it; returns which."""
    return await repository.put_off(session, workspace_id, lead_ids, EnrollmentEvent.OUT_OF_OFFICE.value, resume_at)


async def stopped_by(session: AsyncSession, workspace_id: UUID, lead_id: UUID, cause: str) -> list[UUID]:
    """Return the enrollments of a lead that an answer stopped, by its cause, and that nobody moved since."""
    return await repository.stopped_by(session, workspace_id, lead_id, EnrollmentEvent.REPLY_RECEIVED, cause)


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


async def delete_lead(session: AsyncSession, held: Lead, *, now: datetime) -> None:
    """Delete a lead that is held; its live enrollments pause, and after its return wait for somebody to resume them."""
    cause = "the lead was deleted"
    await leads.delete_lead(session, held)
    await stop_leads(session, held.workspace_id, EnrollmentEvent.PAUSED, [held.id], cause=cause, now=now)


async def unsubscribe_lead(
    session: AsyncSession, workspace_id: UUID, lead_id: UUID, *, cause: str, now: datetime
) -> Lead:
    """Take one lead's no and return the lead; raises NotFound."""
    lead = await leads.get_lead(session, workspace_id, lead_id)
    await unsubscribe_leads(session, workspace_id, [lead_id], cause=cause, now=now)
    await session.refresh(lead)
    return lead

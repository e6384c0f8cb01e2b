"""Enrolls leads in sequences, and changes enrollments in bulk."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.delivery.slots.schedule import find_step_time, get_step_delay
from api.http.errors import Conflict
from api.outreach.enrollment_status import service as enrollment_status
from api.outreach.enrollment_status.service import BulkChange
from api.outreach.enrollments import repository
from api.outreach.sequences import service as sequences
from api.people.lead_lists import service as lists
from database import jobs
from database.models import Sequence as SequenceRow
from database.models import Workspace
from domain.enrollment import EnrollmentEvent, EnrollmentStatus
from domain.job_types import GENERATE_DRAFT
from domain.sequence import SequenceStatus


async def enroll_leads(
    session: AsyncSession,
    workspace: Workspace,
    *,
    sequence_id: UUID,
    lead_ids: Sequence[UUID] | None,
    list_id: UUID | None,
    by: UUID,
    now: datetime,
) -> tuple[int, dict[str, int]]:
    """Enroll leads by id or all of a list; returns how many were enrolled, and how many were skipped by reason.

    Raises NotFound, and Conflict if the sequence is not active.
    """
    _require_active(await sequences.get_sequence(session, workspace.id, sequence_id))
    if list_id is not None:
        await lists.get_list(session, workspace.id, list_id)
    selection = repository.LeadSelection(lead_ids, list_id)
    await repository.raise_work_mem(session)
    await enrollment_status.lock_entry(session, sequence_id)
    zones = await repository.lock_leads(session, workspace.id, selection, workspace.timezone)
    sequence = await sequences.lock_sequence_shared(session, workspace.id, sequence_id)
    _require_active(sequence)
    first_step = (await sequences.list_steps(session, sequence))[0]
    send_ats = {
        zone: find_step_time(workspace, zone, now=now, delay=get_step_delay(first_step)).at for zone in (None, *zones)
    }
    counts = await repository.enroll_leads(
        session, workspace.id, selection, step=first_step, send_ats=send_ats, now=now
    )
    draft_jobs = repository.select_draft_jobs(workspace.id, sequence_id, now, by)
    await jobs.enqueue_from_select(session, GENERATE_DRAFT, workspace.id, draft_jobs)
    enrolled, eligible = counts.pop("enrolled", 0), counts.pop(None, 0)
    skipped = {reason: count for reason, count in counts.items() if reason is not None}
    if eligible > enrolled:  # Another request enrolled the rest at the same time.
        skipped["already_enrolled"] = skipped.get("already_enrolled", 0) + eligible - enrolled
    if lead_ids is not None and (unknown := len(set(lead_ids)) - enrolled - sum(skipped.values())):
        skipped["unknown"] = unknown
    return enrolled, skipped


def _require_active(sequence: SequenceRow) -> None:
    if sequence.status != SequenceStatus.ACTIVE:
        raise Conflict(f"Leads can only be enrolled in an active sequence; this sequence is {sequence.status}.")


async def change_enrollments(
    session: AsyncSession,
    workspace_id: UUID,
    event: EnrollmentEvent,
    *,
    ids: Sequence[UUID] | None,
    sequence_id: UUID | None,
    status: EnrollmentStatus | None,
    cause: str,
    now: datetime,
) -> BulkChange:
    """Pause, resume or stop many enrollments; raises NotFound if there is no such sequence."""
    if sequence_id is not None:
        await sequences.get_sequence(session, workspace_id, sequence_id)
    return await enrollment_status.change_enrollments(
        session, workspace_id, event, ids=ids, sequence_id=sequence_id, status=status, cause=cause, now=now
    )

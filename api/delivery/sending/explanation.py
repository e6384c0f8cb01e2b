"""Explains when the next step of an enrollment is sent, and why not now, by the rules that claims use."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.workspaces import service as workspaces
from api.delivery.sending import eligibility, repository
from api.delivery.sending.eligibility import Candidate, SendContext
from api.delivery.sending.service import UNSENT, find_connection, map_domains
from api.delivery.slots import service as slots
from api.outreach.enrollment_status import service as enrollment_status
from api.people.leads.tracking import decide_tracking
from database.models import LeadEnrollment, SequenceStep, Workspace
from domain.enrollment import LIVE_STATUSES
from domain.errors import NoSendingTime
from domain.job_types import SEND_EMAIL
from domain.schedule import SendingTime
from domain.suppression import extract_domain
from domain.tracking import Tracking


@dataclass(frozen=True, slots=True)
class SendExplanation:
    """The next step of an enrollment: its draft, when it will be sent, and every reason why it is not sent."""

    enrollment: LeadEnrollment
    step: SequenceStep | None
    candidate: Candidate | None
    time: SendingTime | None
    hold_reasons: list[str]
    tracking: Tracking | None = None
    """What would be measured of the mail; None if there is none to send."""


async def explain_next_send(
    session: AsyncSession, workspace: Workspace, enrollment_id: UUID, *, public_url: str, now: datetime
) -> SendExplanation:
    """Explain when the next step will be sent and why not now, by the rules that claims use; raises NotFound."""
    enrollment = await enrollment_status.get_enrollment(session, workspace.id, enrollment_id)
    candidate = await repository.find_last_candidate(session, workspace.id, enrollment_id)
    is_live = enrollment.status in LIVE_STATUSES
    if candidate is None or not is_live:
        hold_reason = eligibility.NOTHING_TO_SEND if is_live else f"the enrollment is {enrollment.status}"
        return SendExplanation(enrollment, None, candidate, None, [hold_reason])
    steps = await repository.list_steps(session, {candidate.sequence.id})
    step = next(step for step in steps if step.id == candidate.draft.step_id)
    connection = await find_connection(session, workspace.id)
    problems = workspaces.list_identity_problems(workspace, connection, public_url)
    hold_reasons = eligibility.list_hold_reasons(candidate, connection, problems)
    if candidate.draft.status not in UNSENT or candidate.outcome is not None:
        return SendExplanation(enrollment, step, candidate, None, hold_reasons)
    tracking = decide_tracking(workspace, candidate.lead)
    job = await slots.find_send_job(session, workspace.id, candidate.draft.id, SEND_EMAIL)
    if job is None and not hold_reasons:
        hold_reasons = ["no job is scheduled to send it; approve the draft again or resume the enrollment"]
    job_times = await slots.list_earlier_jobs(session, workspace, SEND_EMAIL, job, now) if job else {}
    others = await repository.list_candidates(session, workspace.id, list(job_times))
    earlier = {other.draft.id: other for other in others}
    domains = map_domains({candidate.draft.id: candidate, **earlier})
    context = SendContext(workspace, connection, await slots.read_slot_ledger(session, workspace, now, domains))
    waiting = [(earlier[draft_id], job_at) for draft_id, job_at in job_times.items() if draft_id in earlier]
    _reserve_earlier_jobs(context, waiting)
    previous = await repository.find_last_sent_at(session, enrollment_id) or enrollment.enrolled_at
    try:
        send_time = eligibility.explain_send_time(candidate, step, context, previous, job[1] if job else now, now)
    except NoSendingTime as error:
        return SendExplanation(enrollment, step, candidate, None, [*hold_reasons, str(error)], tracking)
    return SendExplanation(enrollment, step, candidate, send_time, hold_reasons, tracking)


def _reserve_earlier_jobs(context: SendContext, earlier: Sequence[tuple[Candidate, datetime]]) -> None:
    """Reserve the slots that the jobs which run earlier will get, each at its own time."""
    for candidate, job_at in earlier:
        if not eligibility.list_hold_reasons(candidate, context.connection):
            with contextlib.suppress(NoSendingTime):
                at = eligibility.find_send_time(candidate, context, job_at).at
                context.slots.reserve(candidate.draft.id, extract_domain(candidate.lead.email), at)

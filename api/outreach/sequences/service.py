"""Manages sequences and their steps, and checks that a sequence can send."""

from collections.abc import Collection
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ai.preview import Preview, render_preview
from ai.template_checks import find_template_problems
from ai.templates import TemplateError
from ai.workflows.email_generation.state import EarlierMessage, EmailGenerationInput, LeadFacts, Sender
from api.accounts.workspaces import service as workspaces
from api.http.errors import Conflict, Malformed, NotFound, or_404
from api.outreach.enrollment_status import service as enrollment_status
from api.outreach.sequences import repository
from api.outreach.sequences.schemas import MAX_STEPS
from api.people.leads import service as leads
from api.people.leads.tracking import decide_tracking
from database import jobs
from database.models import Lead, Sequence, SequenceStep, Workspace
from domain.guard import Limits, find_pause_reason
from domain.job_types import RESUME_SENDS
from domain.refusals import MAX_EQUAL_REFUSALS, find_repeated_refusal
from domain.sequence import SequenceEvent, SequenceStatus, next_status
from domain.tracking import Tracking


class NotReady(Conflict):
    """The sequence cannot send, or could not after this change; `errors` say why."""

    code = "sequence_not_ready"


NO_SUCH_SEQUENCE = "There is no such sequence."


async def get_sequence(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> Sequence:
    """Return a sequence; raises NotFound."""
    return or_404(await repository.find_sequence(session, workspace_id, sequence_id), NO_SUCH_SEQUENCE)


async def lock_sequence(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> Sequence:
    """Return a sequence, locked with its steps to be changed until the transaction ends; raises NotFound."""
    sequence = await repository.lock_sequence(session, workspace_id, sequence_id, exclusive=True)
    return or_404(sequence, NO_SUCH_SEQUENCE)


async def lock_sequence_shared(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> Sequence:
    """Return a sequence that no other transaction changes until this one ends; raises NotFound."""
    sequence = await repository.lock_sequence(session, workspace_id, sequence_id, exclusive=False)
    return or_404(sequence, NO_SUCH_SEQUENCE)


async def change_sequence(
    session: AsyncSession, workspace_id: UUID, sequence_id: UUID, values: dict[str, Any]
) -> Sequence:
    """Change the name or the settings of a sequence; raises NotFound."""
    sequence = await lock_sequence(session, workspace_id, sequence_id)
    return await repository.change_sequence(session, workspace_id, sequence_id, values) if values else sequence


async def list_steps(session: AsyncSession, sequence: Sequence) -> Rows[SequenceStep]:
    """Return a sequence's steps in order."""
    return await repository.list_steps(session, sequence.id)


async def get_step(session: AsyncSession, sequence: Sequence, step_id: UUID) -> SequenceStep:
    """Return a step of a sequence; raises NotFound."""
    for step in await repository.list_steps(session, sequence.id):
        if step.id == step_id:
            return step
    raise NotFound("This sequence has no such step.")


async def add_step(
    session: AsyncSession, workspace_id: UUID, sequence_id: UUID, values: dict[str, Any]
) -> SequenceStep:
    """Append a step; raises Malformed for an invalid template, NotReady, NotFound and Conflict.

    Enrolled leads get it after the steps before it.
    """
    _require_valid_templates(values)
    sequence = await lock_sequence(session, workspace_id, sequence_id)
    if len(await repository.list_steps(session, sequence_id)) >= MAX_STEPS:
        raise Conflict(f"A sequence can have at most {MAX_STEPS} steps.")
    step = await repository.append_step(session, workspace_id, sequence_id, **values)
    await _require_ready_if_active(session, sequence)
    return step


async def change_step(
    session: AsyncSession, sequence: Sequence, step: SequenceStep, values: dict[str, Any]
) -> SequenceStep:
    """Change a step of a locked sequence; its drafts do not change. Raises Malformed and NotReady."""
    _require_valid_templates(values)
    if not values:
        return step
    changed = await repository.change_step(session, sequence.workspace_id, step.id, values)
    await _require_ready_if_active(session, sequence)
    return changed


async def delete_step(session: AsyncSession, sequence: Sequence, step: SequenceStep) -> None:
    """Delete a step of a locked sequence; raises Conflict if it has drafts, and NotReady."""
    if await repository.has_drafts(session, sequence.workspace_id, step):
        raise Conflict("This step has drafts. Change or reorder it; it cannot be deleted.")
    await repository.delete_step(session, sequence.workspace_id, step)
    await _require_ready_if_active(session, sequence)


async def reorder_steps(session: AsyncSession, sequence: Sequence, step_ids: Rows[UUID]) -> Rows[SequenceStep]:
    """Reorder the steps of a locked sequence and return them; raises Malformed unless `step_ids` has each step once.

    An enrolled lead continues with the step that follows, in the new order, the step it was sent last.
    """
    existing_ids = {step.id for step in await repository.list_steps(session, sequence.id)}
    if len(step_ids) != len(existing_ids) or set(step_ids) != existing_ids:
        problem = {"location": ["body", "stepIds"], "message": "must name each step of the sequence once"}
        raise Malformed("Name each step of the sequence once, and no other step.", errors=[problem])
    await repository.reorder_steps(session, sequence.workspace_id, sequence.id, step_ids)
    return await repository.list_steps(session, sequence.id)


async def activate_sequence(session: AsyncSession, workspace_id: UUID, sequence_id: UUID, now: datetime) -> Sequence:
    """Activate a sequence and enqueue what the pause has stopped; raises NotFound, InvalidTransition and NotReady."""
    sequence = await lock_sequence(session, workspace_id, sequence_id)
    next_status(SequenceStatus(sequence.status), SequenceEvent.ACTIVATED)  # Raises InvalidTransition.
    if problems := _find_problems(await repository.list_steps(session, sequence_id)):
        raise NotReady("The sequence is not ready to be activated.", errors=problems)
    await jobs.enqueue(session, RESUME_SENDS, workspace_id, [jobs.Job(now, {"sequenceId": str(sequence_id)})])
    return await _apply_event(session, sequence, SequenceEvent.ACTIVATED, activated_at=now, pause_reason=None)


async def pause_sequence(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> Sequence:
    """Pause a sequence for a user; raises NotFound, and InvalidTransition if it is not active."""
    sequence = await lock_sequence(session, workspace_id, sequence_id)
    return await _apply_event(session, sequence, SequenceEvent.PAUSED)


async def pause_automatically(session: AsyncSession, workspace_id: UUID, sequence_id: UUID, reason: str) -> None:
    """Pause a sequence for a guard, with the reason; a sequence that is not active does not change."""
    await repository.apply_event(session, workspace_id, sequence_id, SequenceEvent.PAUSED, pause_reason=reason)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A mail that was refused for a reason that concerns all sequences, and when it was sent."""

    reason: str
    sent_at: datetime


async def pause_unhealthy_sequences(
    session: AsyncSession, workspace_id: UUID, sequence_ids: Collection[UUID], refusal: Refusal | None = None
) -> None:
    """Pause those of these sequences that bounce or are complained about too often, and all active ones by a refusal.

    A sequence that a user activated after the refused mail was sent goes on, if an earlier refusal was known by then.
    Call it last in a transaction: sequences are locked after leads and enrollments (database/locks.py).
    """
    workspace = await workspaces.find_workspace(session, workspace_id)
    unhealthy = await _find_pause_reasons(session, workspace, sequence_ids, refusal)
    if not unhealthy:
        return
    # Look again under the lock: a user may have activated one of the sequences since.
    await repository.lock_sequences(session, workspace_id, unhealthy)
    reasons = await _find_pause_reasons(session, workspace, unhealthy, refusal)
    for sequence_id in sorted(unhealthy.keys() & reasons):
        await pause_automatically(session, workspace_id, sequence_id, reasons[sequence_id])


async def pause_refused_sequence(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> None:
    """Pause a sequence whose last mails the provider refused for one reason; call it in a transaction of its own."""
    await repository.lock_sequences(session, workspace_id, [sequence_id])
    errors = await repository.list_last_errors(session, workspace_id, sequence_id, MAX_EQUAL_REFUSALS)
    if (reason := find_repeated_refusal(errors)) is not None:
        await pause_automatically(session, workspace_id, sequence_id, reason)


async def _find_pause_reasons(
    session: AsyncSession, workspace: Workspace, sequence_ids: Collection[UUID], refusal: Refusal | None
) -> dict[UUID, str]:
    """Return the sequences that must pause, each with the reason."""
    limits = Limits(
        bounce_sample=workspace.guard_sample,
        max_bounce_rate=workspace.max_bounce_rate,
        complaint_sample=workspace.complaint_sample,
        max_complaint_rate=workspace.max_complaint_rate,
        max_daily_complaints=workspace.max_daily_complaints,
    )
    health = (
        await repository.get_health(session, workspace.id, sequence_ids, limits, workspace.timezone)
        if sequence_ids
        else {}
    )
    reasons = {sequence_id: find_pause_reason(counts, limits) for sequence_id, counts in health.items()}
    if refusal is not None:
        concerned = await repository.list_concerned_by_connection(session, workspace.id, refusal.sent_at)
        reasons |= dict.fromkeys(concerned, refusal.reason)
    return {sequence_id: reason for sequence_id, reason in reasons.items() if reason is not None}


async def _apply_event(session: AsyncSession, sequence: Sequence, event: SequenceEvent, **values: Any) -> Sequence:
    status = SequenceStatus(sequence.status)
    changed = await repository.apply_event(session, sequence.workspace_id, sequence.id, event, **values)
    if changed is None:
        next_status(status, event)  # Raises InvalidTransition.
    return sequence


async def lock_to_delete(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> Sequence:
    """Return a sequence, locked with its live enrollments so that it can be deleted; raises NotFound."""
    await get_sequence(session, workspace_id, sequence_id)
    await enrollment_status.lock_to_stop(session, workspace_id, sequence_id)
    return await lock_sequence(session, workspace_id, sequence_id)


async def delete_sequence(session: AsyncSession, sequence: Sequence, *, cause: str, now: datetime) -> None:
    """Delete a sequence that `lock_to_delete` has locked: its enrollments stop, and nothing more is sent."""
    workspace_id, cause = sequence.workspace_id, f"sequence deleted {cause}"
    stopped_ids = await enrollment_status.stop_enrollments(session, workspace_id, sequence.id, cause=cause, now=now)
    await repository.delete_sequence(session, workspace_id, sequence.id)
    await enrollment_status.cancel_unsent_drafts(session, workspace_id, stopped_ids, "the sequence was deleted")


async def count_progress(
    session: AsyncSession, workspace_id: UUID, sequence_id: UUID
) -> tuple[dict[str, int], dict[str, int]]:
    """Return the numbers of enrollments and of drafts of a sequence by status; raises NotFound."""
    await get_sequence(session, workspace_id, sequence_id)
    return (
        await repository.count_enrollments(session, workspace_id, sequence_id),
        await repository.count_drafts(session, workspace_id, sequence_id),
    )


async def preview_step(
    session: AsyncSession, workspace: Workspace, sequence_id: UUID, step_id: UUID, lead_id: UUID
) -> tuple[Preview, Tracking]:
    """Return the mail that the template of a step gives for a lead, and what is measured of it.

    Raises NotFound and NotReady.
    """
    sequence = await get_sequence(session, workspace.id, sequence_id)
    step = await get_step(session, sequence, step_id)
    lead = await leads.get_lead(session, workspace.id, lead_id)
    try:
        preview = render_preview(build_generation_input(workspace, step, lead))
    except TemplateError as error:
        problem = {"location": ["steps", step.step_order], "message": error.message}
        raise NotReady("The templates of this step cannot be rendered.", errors=[problem]) from error
    return preview, decide_tracking(workspace, lead)


def build_generation_input(
    workspace: Workspace, step: SequenceStep, lead: Lead, earlier: Rows[EarlierMessage] = ()
) -> EmailGenerationInput:
    """Return the input of the workflow that writes an email to a lead."""
    return EmailGenerationInput(
        subject_template=step.subject,
        body_template=step.body_template,
        lead=LeadFacts(
            first_name=lead.first_name,
            last_name=lead.last_name,
            email=lead.email,
            company=lead.company,
            role=lead.role,
            segment=lead.segment or "",
            custom_fields={name: str(value) for name, value in lead.custom_fields.items()},
        ),
        sender=Sender(name=workspace.default_from_name, email=workspace.default_from_email),
        workspace_name=workspace.name,
        voice=workspace.voice,
        earlier_messages=list(earlier),
    )


def _require_valid_templates(values: dict[str, Any]) -> None:
    """Raise Malformed for a template with a syntax error or an unknown variable."""
    problems = [
        {"location": ["body", field], "message": message}
        for field, name in (("subject", "subject"), ("bodyTemplate", "body_template"))
        for message in find_template_problems(values.get(name, ""))
    ]
    if problems:
        raise Malformed("A template of this step is invalid.", errors=problems)


async def _require_ready_if_active(session: AsyncSession, sequence: Sequence) -> None:
    if sequence.status != SequenceStatus.ACTIVE:
        return
    if problems := _find_problems(await repository.list_steps(session, sequence.id)):
        raise NotReady(
            "This change would stop an active sequence from sending. Pause the sequence first.", errors=problems
        )


def _find_problems(steps: Rows[SequenceStep]) -> list[dict[str, Any]]:
    if not steps:
        return [{"location": ["steps"], "message": "the sequence has no steps"}]
    return [
        {"location": ["steps", step.step_order, field], "message": message}
        for step in steps
        for field, template in (("subject", step.subject), ("bodyTemplate", step.body_template))
        for message in (find_template_problems(template) if template.strip() else ["is empty"])
    ]

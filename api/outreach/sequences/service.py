"""What a sequence may become, and when it is fit to send."""

from collections.abc import Sequence as Rows
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ai.templates import TemplateError, check_template
from ai.workflows.email_generation import rendering
from ai.workflows.email_generation.rendering import Preview
from ai.workflows.email_generation.state import EarlierMessage, EmailGenerationInput, LeadFacts, Sender
from api.accounts.workspaces.service import RESUME_SENDS
from api.http.errors import Conflict, Malformed, NotFound
from api.http.pagination import PageRequest
from api.outreach.sequences import repository
from api.outreach.sequences.schemas import MOST_STEPS
from api.people.leads import service as leads
from database import jobs
from database.models import Lead, Sequence, SequenceStep, Workspace
from domain.sequence import SequenceEvent, SequenceStatus, next_status


class NotReady(Conflict):
    """The sequence cannot send as it is, or could not after this change; `errors` say why."""

    code = "sequence_not_ready"


async def create_sequence(session: AsyncSession, workspace_id: UUID, values: dict[str, Any]) -> Sequence:
    """Make a sequence in draft, without steps."""
    return await repository.add_sequence(session, workspace_id, **values)


async def list_sequences(session: AsyncSession, workspace_id: UUID, page: PageRequest) -> Rows[Sequence]:
    """Return the workspace's sequences, newest first, one more than the page holds."""
    return await repository.list_sequences(session, workspace_id, page)


async def get_sequence(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> Sequence:
    """Return a sequence; raises NotFound."""
    return _found(await repository.find_sequence(session, workspace_id, sequence_id))


async def hold_sequence(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> Sequence:
    """Return a sequence, held to be changed until the transaction ends, its steps included; raises NotFound."""
    return _found(await repository.hold_sequence(session, workspace_id, sequence_id, to_change=True))


async def hold_as_it_is(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> Sequence:
    """Return a sequence, held against changes of others until the transaction ends; raises NotFound."""
    return _found(await repository.hold_sequence(session, workspace_id, sequence_id, to_change=False))


def _found(sequence: Sequence | None) -> Sequence:
    if sequence is None:
        raise NotFound("There is no such sequence.")
    return sequence


async def change_sequence(
    session: AsyncSession, workspace_id: UUID, sequence_id: UUID, values: dict[str, Any]
) -> Sequence:
    """Change the name or the settings of a sequence; raises NotFound."""
    sequence = await hold_sequence(session, workspace_id, sequence_id)
    return await repository.change_sequence(session, workspace_id, sequence_id, values) if values else sequence


async def list_steps(session: AsyncSession, sequence: Sequence) -> Rows[SequenceStep]:
    """Return a sequence's steps in order."""
    return await repository.list_steps(session, sequence.id)


async def get_step(session: AsyncSession, sequence: Sequence, step_id: UUID) -> SequenceStep:
    """Return a step of a sequence; raises NotFound."""
    for step in await repository.list_steps(session, sequence.id):
        if step.id == step_id:
            return step
    raise NotFound("The sequence has no such step.")


async def add_step(
    session: AsyncSession, workspace_id: UUID, sequence_id: UUID, values: dict[str, Any]
) -> SequenceStep:
    """Append a step; raises Malformed for a template that cannot be used, NotReady and NotFound.

    Leads that are under way get to it after the steps before it.
    """
    _require_usable(values)
    sequence = await hold_sequence(session, workspace_id, sequence_id)
    if len(await repository.list_steps(session, sequence_id)) >= MOST_STEPS:
        raise Conflict(f"A sequence has {MOST_STEPS} steps at most.")
    step = await repository.append_step(session, workspace_id, sequence_id, **values)
    await _require_ready_if_active(session, sequence)
    return step


async def change_step(
    session: AsyncSession, sequence: Sequence, step: SequenceStep, values: dict[str, Any]
) -> SequenceStep:
    """Change a step of a sequence that is held; what was drafted from it stays. Raises Malformed and NotReady."""
    _require_usable(values)
    if not values:
        return step
    changed = await repository.change_step(session, sequence.workspace_id, step.id, values)
    await _require_ready_if_active(session, sequence)
    return changed


async def delete_step(session: AsyncSession, sequence: Sequence, step: SequenceStep) -> None:
    """Delete a step of a sequence that is held; raises Conflict when drafts refer to it, and NotReady."""
    if await repository.has_drafts(session, sequence.workspace_id, step):
        raise Conflict("Drafts were made from this step and refer to it; it can be changed or reordered, not deleted.")
    await repository.delete_step(session, sequence.workspace_id, step)
    await _require_ready_if_active(session, sequence)


async def reorder_steps(session: AsyncSession, sequence: Sequence, step_ids: Rows[UUID]) -> Rows[SequenceStep]:
    """Put the steps of a sequence that is held in this order and return them; raises Malformed unless it names all.

    Leads that are under way go on with the step that follows, in the new order, the one they were sent last.
    """
    have = {step.id for step in await repository.list_steps(session, sequence.id)}
    if len(step_ids) != len(have) or set(step_ids) != have:
        problem = {"location": ["body", "stepIds"], "message": "must be all steps of the sequence, once each"}
        raise Malformed("The order must name each step of the sequence once, and no other.", errors=[problem])
    await repository.reorder_steps(session, sequence.workspace_id, sequence.id, step_ids)
    return await repository.list_steps(session, sequence.id)


async def activate(session: AsyncSession, workspace_id: UUID, sequence_id: UUID, now: datetime) -> Sequence:
    """Let a sequence send, what waited included; raises NotFound, InvalidTransition when it does already, NotReady."""
    sequence = await hold_sequence(session, workspace_id, sequence_id)
    next_status(SequenceStatus(sequence.status), SequenceEvent.ACTIVATED)
    if problems := _problems(await repository.list_steps(session, sequence_id)):
        raise NotReady("The sequence cannot be activated as it is.", errors=problems)
    await jobs.enqueue(session, RESUME_SENDS, workspace_id, [jobs.Job(now, {"sequenceId": str(sequence_id)})])
    return await _move(session, sequence, SequenceEvent.ACTIVATED, activated_at=now, pause_reason=None)


async def pause(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> Sequence:
    """Stop a sequence from sending; raises NotFound, and InvalidTransition when it does not send."""
    sequence = await hold_sequence(session, workspace_id, sequence_id)
    return await _move(session, sequence, SequenceEvent.PAUSED)


async def pause_for(session: AsyncSession, workspace_id: UUID, sequence_id: UUID, reason: str) -> None:
    """Stop a sequence from sending where no person did, and say why; one that does not send stays as it is."""
    await repository.move(session, workspace_id, sequence_id, SequenceEvent.PAUSED, pause_reason=reason)


async def _move(session: AsyncSession, sequence: Sequence, event: SequenceEvent, **values: Any) -> Sequence:
    before = SequenceStatus(sequence.status)
    moved = await repository.move(session, sequence.workspace_id, sequence.id, event, **values)
    if moved is None:
        next_status(before, event)
    return sequence


async def delete_held(session: AsyncSession, sequence: Sequence) -> None:
    """Mark a sequence that is held as deleted; what its enrollments still had to do is for the room of enrollments."""
    await repository.delete_sequence(session, sequence.workspace_id, sequence.id)


async def progress(
    session: AsyncSession, workspace_id: UUID, sequence_id: UUID
) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many enrollments, and how many drafts, of a sequence are in each status; raises NotFound."""
    await get_sequence(session, workspace_id, sequence_id)
    return (
        await repository.count_enrollments(session, workspace_id, sequence_id),
        await repository.count_drafts(session, workspace_id, sequence_id),
    )


async def preview(
    session: AsyncSession, workspace: Workspace, sequence_id: UUID, step_id: UUID, lead_id: UUID
) -> Preview:
    """Return what a draft of a step would say to a lead without a model; raises NotFound, and NotReady."""
    sequence = await get_sequence(session, workspace.id, sequence_id)
    step = await get_step(session, sequence, step_id)
    lead = await leads.get_lead(session, workspace.id, lead_id)
    try:
        return rendering.preview(generation_input(workspace, step, lead))
    except TemplateError as error:
        problem = {"location": ["steps", step.step_order], "message": error.message}
        raise NotReady("The step cannot be rendered.", errors=[problem]) from error


def generation_input(
    workspace: Workspace, step: SequenceStep, lead: Lead, earlier: Rows[EarlierMessage] = ()
) -> EmailGenerationInput:
    """Return all that an email to a lead is written from."""
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


def _require_usable(values: dict[str, Any]) -> None:
    """Raise Malformed for a template that cannot be read or asks for a variable that does not exist."""
    problems = [
        {"location": ["body", field], "message": message}
        for field, name in (("subject", "subject"), ("bodyTemplate", "body_template"))
        for message in check_template(values.get(name, ""))
    ]
    if problems:
        raise Malformed("A template of the step cannot be used.", errors=problems)


async def _require_ready_if_active(session: AsyncSession, sequence: Sequence) -> None:
    if sequence.status != SequenceStatus.ACTIVE:
        return
    if problems := _problems(await repository.list_steps(session, sequence.id)):
        raise NotReady("The sequence sends, and could not after this change; pause it first.", errors=problems)


def _problems(steps: Rows[SequenceStep]) -> list[dict[str, Any]]:
    if not steps:
        return [{"location": ["steps"], "message": "the sequence has no steps"}]
    return [
        {"location": ["steps", step.step_order, field], "message": message}
        for step in steps
        for field, template in (("subject", step.subject), ("bodyTemplate", step.body_template))
        for message in ([*check_template(template)] if template.strip() else ["is empty"])
    ]

"""What a sequence may become, and when it is fit to send."""

from collections.abc import Sequence as Rows
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ai.templates import check_template
from api.errors import Conflict, Malformed, NotFound
from api.pagination import PageRequest
from api.sequences import repository
from api.workspaces.service import RESUME_SENDS
from database import jobs
from database.models import Sequence, SequenceStatus, SequenceStep


class NotReady(Conflict):
    """The sequence cannot send as it is; `errors` say why."""

    code = "sequence_not_ready"


async def create_sequence(session: AsyncSession, workspace_id: UUID, values: dict[str, Any]) -> Sequence:
    """Make a sequence in draft, without steps."""
    return await repository.add_sequence(session, workspace_id, **values)


async def list_sequences(session: AsyncSession, workspace_id: UUID, page: PageRequest) -> Rows[Sequence]:
    """Return the workspace's sequences, newest first, one more than the page holds."""
    return await repository.list_sequences(session, workspace_id, page)


async def get_sequence(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> Sequence:
    """Return a sequence; raises NotFound."""
    sequence = await repository.find_sequence(session, workspace_id, sequence_id)
    if sequence is None:
        raise NotFound("There is no such sequence.")
    return sequence


async def list_steps(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> Rows[SequenceStep]:
    """Return a sequence's steps in order; raises NotFound."""
    await get_sequence(session, workspace_id, sequence_id)
    return await repository.list_steps(session, sequence_id)


async def add_step(
    session: AsyncSession, workspace_id: UUID, sequence_id: UUID, values: dict[str, Any]
) -> SequenceStep:
    """Append a step; raises Malformed for a template that cannot be read, NotFound."""
    if problems := _template_problems(values["subject"], values["body_template"]):
        raise Malformed("A template of the step cannot be used.", errors=problems)
    if await repository.lock_sequence(session, workspace_id, sequence_id) is None:
        raise NotFound("There is no such sequence.")
    return await repository.append_step(session, workspace_id, sequence_id, **values)


async def activate(session: AsyncSession, workspace_id: UUID, sequence_id: UUID, now: datetime) -> Sequence:
    """Let a sequence send; raises NotReady with the reasons when a step is empty or cannot be rendered."""
    if await repository.lock_sequence(session, workspace_id, sequence_id) is None:
        raise NotFound("There is no such sequence.")
    steps = await repository.list_steps(session, sequence_id)
    problems = [problem for step in steps for problem in _step_problems(step)]
    if not steps:
        problems = [{"location": ["steps"], "message": "the sequence has no steps"}]
    if problems:
        raise NotReady("The sequence cannot be activated as it is.", errors=problems)
    await jobs.enqueue(session, RESUME_SENDS, workspace_id, [jobs.Job(now, {"sequenceId": str(sequence_id)})])
    return await repository.set_status(session, workspace_id, sequence_id, SequenceStatus.ACTIVE)


async def pause(session: AsyncSession, workspace_id: UUID, sequence_id: UUID) -> Sequence:
    """Stop a sequence from sending; raises Conflict when it does not send."""
    sequence = await repository.lock_sequence(session, workspace_id, sequence_id)
    if sequence is None:
        raise NotFound("There is no such sequence.")
    if sequence.status != SequenceStatus.ACTIVE:
        raise Conflict(f"Only an active sequence can be paused; this one is {sequence.status}.")
    return await repository.set_status(session, workspace_id, sequence_id, SequenceStatus.PAUSED)


async def progress(
    session: AsyncSession, workspace_id: UUID, sequence_id: UUID
) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many enrollments, and how many drafts, of a sequence are in each status; raises NotFound."""
    await get_sequence(session, workspace_id, sequence_id)
    return (
        await repository.count_enrollments(session, workspace_id, sequence_id),
        await repository.count_drafts(session, workspace_id, sequence_id),
    )


def _template_problems(subject: str, body: str) -> list[dict[str, Any]]:
    return [
        {"location": ["body", field], "message": message}
        for field, template in (("subject", subject), ("bodyTemplate", body))
        for message in check_template(template)
    ]


def _step_problems(step: SequenceStep) -> list[dict[str, Any]]:
    place = ["steps", step.step_order]
    empty = [
        name for name, text in (("subject", step.subject), ("bodyTemplate", step.body_template)) if not text.strip()
    ]
    return [{"location": [*place, name], "message": "is empty"} for name in empty] + [
        {"location": [*place, *problem["location"][1:]], "message": problem["message"]}
        for problem in _template_problems(step.subject, step.body_template)
    ]

"""How the questions to models are counted, and when a day's budget forbids to ask."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from ai.context import UsageRecord
from ai.errors import TokenBudgetExceeded
from ai.run import RunContext
from api.accounts.usage import repository
from api.accounts.usage.repository import Count
from api.http.batches import Batches
from api.http.periods import Days
from api.http.resources import Services
from database.models import AiUsage
from domain.clock import Clock

RESERVED_SECONDS = 900.0
"""Longer than a question takes, its wait for a place included; who was killed while asking holds it no longer."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """A question about to be asked, which takes at most about so many tokens; `now` is the business time."""

    workflow: str
    model: str
    tokens: int
    now: datetime


@dataclass(frozen=True, slots=True)
class Permission:
    """A question may be asked: its tokens are kept in the budget of `day`, if there is one."""

    day: date
    reservation: UUID | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a question that was permitted has taken."""

    question: ModelCall
    permission: Permission
    reading: UsageRecord


@dataclass(frozen=True, slots=True)
class Budget:
    """What models may take on a day, in tokens; `tokens` is None without a limit."""

    day: date
    tokens: int | None
    used: int


@dataclass(frozen=True, slots=True)
class WorkspaceMeter:
    """Counts the questions of a workspace and keeps them within its budget."""

    batches: Batches
    clock: Clock
    workspace_id: UUID

    @asynccontextmanager
    async def meter_call(self, workflow: str, model: str, tokens: int) -> AsyncIterator[UsageRecord]:
        """Enclose one question that takes at most about `tokens`; raises OverBudget when there are not so many left."""
        question = ModelCall(workflow, model, tokens, self.clock.now())
        permission = await self.batches.run(reserve_tokens, self.workspace_id, question)
        if isinstance(permission, str):
            raise TokenBudgetExceeded(permission)
        reading = UsageRecord()
        try:
            yield reading
        finally:
            await self.batches.run(settle_reservations, self.workspace_id, Settlement(question, permission, reading))


def ai_context(
    services: Services, workspace_id: UUID, *, actor: str | None = None, tags: tuple[str, ...] = ()
) -> RunContext:
    """Return what an AI workflow runs with on behalf of a workspace."""
    meter = WorkspaceMeter(services.batches, services.clock, workspace_id)
    return RunContext(workspace_id, actor, tags, services.models, services.tracing, meter)


async def reserve_tokens(
    session: AsyncSession, workspace_id: UUID, questions: Sequence[ModelCall]
) -> list[Permission | str]:
    """Return for each question whether it may be asked, or the sentence that says why not."""
    today = await repository.find_today(session, workspace_id, max(one.now for one in questions))
    fits = await _fits_budget(session, workspace_id, questions, today)
    reserved: Sequence[UUID] = []
    if today.budget is not None:
        tokens = [one.tokens for one, fit in zip(questions, fits, strict=True) if fit]
        reserved = await repository.reserve(session, workspace_id, tokens, seconds=RESERVED_SECONDS)
    counts = [
        Count(today.day, one.workflow, one.model, **{"asked" if fit else "refused": 1})
        for one, fit in zip(questions, fits, strict=True)
    ]
    await repository.add_usage(session, workspace_id, counts)
    reservations = iter(reserved)
    refusal = _refusal(today.budget, today.timezone)
    return [Permission(today.day, next(reservations, None)) if fit else refusal for fit in fits]


async def _fits_budget(
    session: AsyncSession, workspace_id: UUID, questions: Sequence[ModelCall], today: Row[Any]
) -> list[bool]:
    """Return for each question whether its tokens are left in the day's budget, first come, first served."""
    if today.budget is None:
        return [True] * len(questions)
    await repository.lock_budget(session, workspace_id)
    left, fits = today.budget - await repository.tokens_spent(session, workspace_id, today.day), []
    for question in questions:
        fits.append(question.tokens <= left)
        left -= question.tokens if fits[-1] else 0
    return fits


def _refusal(budget: int, timezone: str) -> str:
    return (
        f"The workspace's budget of {budget} tokens a day leaves too little for a question to the model "
        f"(until midnight in {timezone})."
    )


async def settle_reservations(
    session: AsyncSession, workspace_id: UUID, settlements: Sequence[Settlement]
) -> list[None]:
    """Count what questions have taken, and give back what was kept for them."""
    reserved = [one.permission.reservation for one in settlements if one.permission.reservation is not None]
    if reserved:
        await repository.release(session, workspace_id, reserved)
    await repository.add_usage(session, workspace_id, [_count(one) for one in settlements])
    return [None] * len(settlements)


def _count(settled: Settlement) -> Count:
    usage = settled.reading.usage
    return Count(
        settled.permission.day,
        settled.question.workflow,
        settled.question.model,
        answered=int(settled.reading.is_answered),
        tokens_in=usage.tokens_in,
        tokens_out=usage.tokens_out,
        unpriced=int(usage.tokens > 0 and usage.cost is None),
        cost=usage.cost or 0.0,
    )


async def get_budget(session: AsyncSession, workspace_id: UUID, now: datetime) -> Budget:
    """Return what models may take today and what they have taken, with what is kept for questions under way."""
    today = await repository.find_today(session, workspace_id, now)
    return Budget(today.day, today.budget, await repository.tokens_spent(session, workspace_id, today.day))


async def list_usage(session: AsyncSession, workspace_id: UUID, days: Days, workflow: str | None) -> Sequence[AiUsage]:
    """Return what was taken per day, workflow and model, newest first."""
    return await repository.list_usage(session, workspace_id, since=days.start, until=days.end, workflow=workflow)

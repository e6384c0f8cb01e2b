"""Counts the calls of models, and keeps them within the budget of a day."""

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
"""How long a reservation lasts at least: longer than any call with its wait. Otherwise it lasts until midnight, also
when its process was killed, because the tokens that the call used are not known."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """A call of a model: at most `max_attempts` requests of about `tokens` each; `now` is the business time."""

    workflow: str
    model: str
    tokens: int
    now: datetime
    max_attempts: int = 1


@dataclass(frozen=True, slots=True)
class Permission:
    """The permission for a call; its tokens are reserved in the budget of `day`, if there is one."""

    day: date
    reservation: UUID | None


@dataclass(frozen=True, slots=True)
class Settlement:
    """The usage of a permitted call."""

    call: ModelCall
    permission: Permission
    record: UsageRecord


@dataclass(frozen=True, slots=True)
class Budget:
    """The token budget of a day and the tokens used; `tokens` is None without a limit."""

    day: date
    tokens: int | None
    used: int


@dataclass(frozen=True, slots=True)
class WorkspaceMeter:
    """Counts the model calls of a workspace and keeps them within its budget."""

    batches: Batches
    clock: Clock
    workspace_id: UUID

    @asynccontextmanager
    async def meter_call(
        self, workflow: str, model: str, tokens: int, max_attempts: int = 1
    ) -> AsyncIterator[UsageRecord]:
        """Meter one call of so many requests at most; raises TokenBudgetExceeded if fewer tokens are left."""
        call = ModelCall(workflow, model, tokens, self.clock.now(), max_attempts)
        permission = await self.batches.run(reserve_tokens, self.workspace_id, call)
        if isinstance(permission, str):
            raise TokenBudgetExceeded(permission)
        record = UsageRecord()
        try:
            yield record
        finally:
            await self.batches.run(settle_reservations, self.workspace_id, Settlement(call, permission, record))


def ai_context(
    services: Services, workspace_id: UUID, *, actor: str | None = None, tags: tuple[str, ...] = ()
) -> RunContext:
    """Return the context in which an AI workflow runs for a workspace."""
    meter = WorkspaceMeter(services.batches, services.clock, workspace_id)
    return RunContext(workspace_id, actor, tags, services.models, services.tracing, meter)


async def reserve_tokens(
    session: AsyncSession, workspace_id: UUID, calls: Sequence[ModelCall]
) -> list[Permission | str]:
    """Return a permission for each call, or the sentence that refuses it."""
    today = await repository.find_today(session, workspace_id, max(call.now for call in calls))
    fits = await _fits_budget(session, workspace_id, calls, today)
    reserved: Sequence[UUID] = []
    if today.budget is not None:
        tokens = [call.tokens * call.max_attempts for call, fit in zip(calls, fits, strict=True) if fit]
        seconds = max(today.seconds_left, RESERVED_SECONDS)
        reserved = await repository.reserve_tokens(session, workspace_id, tokens, seconds=seconds)
    counts = [
        Count(today.day, call.workflow, call.model, **{"requests" if fit else "refused": 1})
        for call, fit in zip(calls, fits, strict=True)
    ]
    await repository.add_usage(session, workspace_id, counts)
    reservations = iter(reserved)
    refusal = _refusal(today.budget, today.timezone)
    return [Permission(today.day, next(reservations, None)) if fit else refusal for fit in fits]


async def _fits_budget(
    session: AsyncSession, workspace_id: UUID, calls: Sequence[ModelCall], today: Row[Any]
) -> list[bool]:
    """Return for each call, in order, whether the day's budget has its tokens left."""
    if today.budget is None:
        return [True] * len(calls)
    await repository.lock_budget(session, workspace_id)
    left, fits = today.budget - await repository.count_spent_tokens(session, workspace_id, today.day), []
    for call in calls:
        tokens = call.tokens * call.max_attempts
        fits.append(tokens <= left)
        left -= tokens if fits[-1] else 0
    return fits


def _refusal(budget: int, timezone: str) -> str:
    return (
        f"The workspace's budget of {budget} tokens per day has too few tokens left for a call of the model "
        f"(until midnight in {timezone})."
    )


async def settle_reservations(
    session: AsyncSession, workspace_id: UUID, settlements: Sequence[Settlement]
) -> list[None]:
    """Count the usage of calls and release their reservations.

    Requests whose usage is unknown, because they timed out or broke, stay reserved until the end of the day.
    """
    unknown = {
        settlement.permission.reservation: settlement.call.tokens * settlement.record.attempts.unknown
        for settlement in settlements
        if settlement.permission.reservation is not None
    }
    if unknown:
        await repository.settle_reservations(session, workspace_id, unknown)
    await repository.add_usage(session, workspace_id, [_count(settlement) for settlement in settlements])
    return [None] * len(settlements)


def _count(settlement: Settlement) -> Count:
    usage = settlement.record.usage
    return Count(
        settlement.permission.day,
        settlement.call.workflow,
        settlement.call.model,
        answered=int(settlement.record.is_answered),
        tokens_in=usage.tokens_in,
        tokens_out=usage.tokens_out,
        unpriced=int(usage.tokens > 0 and usage.cost is None),
        cost=usage.cost or 0.0,
    )


async def get_budget(session: AsyncSession, workspace_id: UUID, now: datetime) -> Budget:
    """Return today's budget and the tokens used, including reserved ones."""
    today = await repository.find_today(session, workspace_id, now)
    return Budget(today.day, today.budget, await repository.count_spent_tokens(session, workspace_id, today.day))


async def list_usage(session: AsyncSession, workspace_id: UUID, days: Days, workflow: str | None) -> Sequence[AiUsage]:
    """Return the usage per day, workflow and model, newest first."""
    return await repository.list_usage(session, workspace_id, since=days.start, until=days.end, workflow=workflow)

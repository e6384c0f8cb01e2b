"""The SQL of model usage."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from database.locks import AI_BUDGET
from database.models import AiUsage

_TODAY = text(
    """
    SELECT workspace.daily_token_budget AS budget, workspace.timezone,
           (CAST(:now AS timestamptz) AT TIME ZONE workspace.timezone)::date AS day,
           86400 - extract(epoch FROM (CAST(:now AS timestamptz) AT TIME ZONE workspace.timezone)::time)::float
             AS seconds_left
      FROM app.workspaces AS workspace
     WHERE workspace.id = :workspace_id
    """
)

# Only one transaction reserves at a time, so that two do not both reserve the last tokens.
_LOCK_BUDGET = text(f"SELECT pg_advisory_xact_lock({AI_BUDGET})")

_COUNT_SPENT = text(
    """
    SELECT (SELECT coalesce(sum(tokens_in + tokens_out), 0) FROM app.ai_usage
             WHERE workspace_id = :workspace_id AND day = :day)
         + (SELECT coalesce(sum(tokens), 0) FROM app.ai_reservations
             WHERE workspace_id = :workspace_id AND expires_at > now())
    """
)

_RESERVE = text(
    """
    WITH new AS MATERIALIZED (
      SELECT app.uuidv7() AS id, request.tokens, request.position
        FROM unnest(CAST(:tokens AS int[])) WITH ORDINALITY AS request (tokens, position)
    ),
    stored AS (
      INSERT INTO app.ai_reservations (id, workspace_id, tokens, expires_at)
      SELECT id, :workspace_id, tokens, now() + make_interval(secs => :seconds) FROM new
    )
    SELECT id FROM new ORDER BY position
    """
)

_SETTLE = text(
    """
    WITH unknown AS MATERIALIZED (
      SELECT id, tokens FROM unnest(CAST(:ids AS uuid[]), CAST(:tokens AS int[])) AS unknown (id, tokens)
    ),
    released AS (
      DELETE FROM app.ai_reservations AS reservation USING unknown
       WHERE reservation.workspace_id = :workspace_id AND reservation.id = unknown.id AND unknown.tokens = 0
    )
    UPDATE app.ai_reservations AS reservation SET tokens = unknown.tokens
      FROM unknown
     WHERE reservation.workspace_id = :workspace_id AND reservation.id = unknown.id AND unknown.tokens > 0
    """
)

_DELETE_EXPIRED = text("DELETE FROM app.ai_reservations WHERE workspace_id = :workspace_id AND expires_at <= now()")

# Lock in key order to avoid deadlocks (database/locks.py).
_COUNT = text(
    """
    INSERT INTO app.ai_usage AS usage
           (workspace_id, day, workflow, model, requests, answered, refused, tokens_in, tokens_out, unpriced, cost)
    SELECT :workspace_id, day, workflow, model, sum(requests), sum(answered), sum(refused), sum(tokens_in),
           sum(tokens_out), sum(unpriced), sum(cost)
      FROM jsonb_to_recordset(CAST(:counted AS jsonb)) AS counted
           (day date, workflow text, model text, requests int, answered int, refused int, tokens_in int, tokens_out int,
            unpriced int, cost numeric)
     GROUP BY day, workflow, model
     ORDER BY day, workflow, model
    ON CONFLICT (workspace_id, day, workflow, model) DO UPDATE
       SET requests = usage.requests + excluded.requests, answered = usage.answered + excluded.answered,
           refused = usage.refused + excluded.refused, tokens_in = usage.tokens_in + excluded.tokens_in,
           tokens_out = usage.tokens_out + excluded.tokens_out, unpriced = usage.unpriced + excluded.unpriced,
           cost = usage.cost + excluded.cost
    """
)


@dataclass(frozen=True, slots=True)
class Count:
    """The usage to add to the row of a day, a workflow and a model; `cost` in USD."""

    day: date
    workflow: str
    model: str
    requests: int = 0
    answered: int = 0
    refused: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    unpriced: int = 0
    cost: float = 0.0


async def find_today(session: AsyncSession, workspace_id: UUID, now: datetime) -> Row[Any]:
    """Return the workspace's day (`day`, in `timezone`, with `seconds_left`) and its `budget`, None without one."""
    return (await session.execute(_TODAY, {"workspace_id": workspace_id, "now": now})).one()


async def lock_budget(session: AsyncSession, workspace_id: UUID) -> None:
    """Lock the reservations of the workspace until the transaction ends."""
    await session.execute(_LOCK_BUDGET, {"workspace_id": str(workspace_id)})


async def count_spent_tokens(session: AsyncSession, workspace_id: UUID, day: date) -> int:
    """Return the tokens used on a day, and those reserved for calls that have not ended or whose usage is unknown."""
    return int(await session.scalar(_COUNT_SPENT, {"workspace_id": workspace_id, "day": day}) or 0)


async def reserve_tokens(
    session: AsyncSession, workspace_id: UUID, tokens: Sequence[int], *, seconds: float
) -> Sequence[UUID]:
    """Reserve tokens for model calls for at most `seconds`, and delete expired reservations.

    Returns a reservation for each call, in order.
    """
    await session.execute(_DELETE_EXPIRED, {"workspace_id": workspace_id})
    parameters = {"workspace_id": workspace_id, "tokens": list(tokens), "seconds": seconds}
    return (await session.scalars(_RESERVE, parameters)).all()


async def settle_reservations(session: AsyncSession, workspace_id: UUID, tokens: Mapping[UUID, int]) -> None:
    """Leave so many tokens of each reservation, and delete those of which none are left."""
    parameters = {"workspace_id": workspace_id, "ids": list(tokens), "tokens": list(tokens.values())}
    await session.execute(_SETTLE, parameters)


async def add_usage(session: AsyncSession, workspace_id: UUID, counts: Sequence[Count]) -> None:
    """Add usage to the rows of days."""
    counted = json.dumps([asdict(count) for count in counts], default=str)
    await session.execute(_COUNT, {"workspace_id": workspace_id, "counted": counted})


async def list_usage(
    session: AsyncSession, workspace_id: UUID, *, since: date, until: date, workflow: str | None
) -> Sequence[AiUsage]:
    """Return the usage from `since` to `until`, both included, newest day first."""
    statement = select(AiUsage).where(AiUsage.workspace_id == workspace_id, AiUsage.day.between(since, until))
    if workflow is not None:
        statement = statement.where(AiUsage.workflow == workflow)
    return (await session.scalars(statement.order_by(AiUsage.day.desc(), AiUsage.workflow, AiUsage.model))).all()

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from ai.context import UsageRecord
from ai.usage import Usage
from api.accounts.usage import repository, service
from api.accounts.usage.repository import Count
from api.accounts.usage.service import Budget, ModelCall, Permission, Settlement
from tests.acting import insert_row, run_act
from tests.two_workspaces import TwoWorkspaces

pytestmark = pytest.mark.anyio

RESERVATIONS, USAGE = "app.ai_reservations", "app.ai_usage"
NOW = datetime(2026, 3, 4, 22, 30, tzinfo=UTC)
"""In Johannesburg it is the next day already."""
TODAY = date(2026, 3, 5)
_RESERVE_UNTIL = text(
    "INSERT INTO app.ai_reservations (workspace_id, tokens, expires_at)"
    " VALUES (:workspace_id, :tokens, now() + make_interval(secs => :seconds)) RETURNING id"
)

_LIFETIMES = text("SELECT id, tokens, extract(epoch FROM expires_at - now())::int AS seconds FROM app.ai_reservations")


async def reserve_until(session: AsyncSession, workspaces: TwoWorkspaces, tokens: int, seconds: float) -> UUID:
    """Reserve tokens until so long after this transaction began."""
    values = {"workspace_id": workspaces.id, "tokens": tokens, "seconds": seconds}
    return UUID(str((await session.execute(_RESERVE_UNTIL, values)).scalar_one()))


def set_budget(workspaces: TwoWorkspaces, tokens: int | None) -> None:
    """Give the workspace a budget and no reservation, beside another workspace of its account with another budget."""
    workspaces.owner.execute("DELETE FROM app.ai_reservations WHERE workspace_id = %s", [workspaces.id])
    workspaces.set("app.workspaces", workspaces.id, daily_token_budget=tokens)
    workspaces.add("app.workspaces", daily_token_budget=7, timezone="Asia/Tokyo")


async def test_spent_is_what_was_taken_today_and_is_reserved_now(two_workspaces: TwoWorkspaces) -> None:
    """Tokens of the day and reservations that have not expired count; a reservation expires in its last moment."""
    workspaces = two_workspaces
    set_budget(workspaces, 100)
    for day, tokens in ((TODAY - timedelta(1), 1000), (TODAY, 10), (TODAY + timedelta(1), 2000)):
        insert_row(workspaces, USAGE, day=day, tokens_in=tokens, tokens_out=tokens // 10)

    async def spend(session: AsyncSession) -> tuple[int, set[UUID]]:
        for seconds in (-1, 0):
            await reserve_until(session, workspaces, 100, seconds)
        running = {await reserve_until(session, workspaces, 200, seconds) for seconds in (0.000001, 60)}
        spent = await repository.count_spent_tokens(session, workspaces.id, TODAY)
        made = await repository.reserve_tokens(session, workspaces.id, [3, 5], seconds=900)
        await repository.settle_reservations(session, workspaces.id, {made[0]: 0})
        return spent, running

    acted = await run_act(workspaces, spend, locks_in=RESERVATIONS)
    spent, running = acted.result
    assert spent == 11 + 400
    rows = workspaces.owner.execute(
        "SELECT id, tokens FROM app.ai_reservations WHERE workspace_id = %s ORDER BY tokens", [workspaces.id]
    ).fetchall()
    assert [tokens for _, tokens in rows] == [5, 200, 200]
    assert {row_id for row_id, _ in rows[1:]} == running


async def test_usage_is_counted_and_listed_by_day_workflow_and_model(two_workspaces: TwoWorkspaces) -> None:
    """Counts are written in one order whatever order they come in, and listed newest first between two days."""
    workspaces = two_workspaces
    workspaces.owner.execute("DELETE FROM app.ai_usage WHERE workspace_id = %s", [workspaces.id])
    days = [TODAY + timedelta(days) for days in (-2, -1, 0, 1)]
    counts = [
        Count(day, workflow, model, requests=1, tokens_in=2)
        for day in reversed(days)
        for workflow in ("write", "classify")
        for model in ("small", "large", "medium")
    ]

    async def count(session: AsyncSession) -> Any:
        await repository.add_usage(session, workspaces.id, [*counts, counts[0]])
        span = {"since": days[1], "until": days[2]}
        listed = [
            await repository.list_usage(session, workspaces.id, **span, workflow=workflow)
            for workflow in (None, "write")
        ]
        return [[(row.day, row.workflow, row.model) for row in rows] for rows in listed]

    acted = await run_act(workspaces, count)
    written = workspaces.owner.execute(
        "SELECT day, workflow, model, requests, tokens_in FROM app.ai_usage WHERE workspace_id = %s ORDER BY ctid",
        [workspaces.id],
    ).fetchall()
    assert [row[:3] for row in written] == sorted((one.day, one.workflow, one.model) for one in counts)
    assert {row[:3]: row[3:] for row in written if row[3] != 1} == {(days[3], "write", "small"): (2, 4)}
    listed, of_writing = acted.result
    models = ("large", "medium", "small")
    assert listed == [
        (day, workflow, model) for day in (days[2], days[1]) for workflow in ("classify", "write") for model in models
    ]
    assert of_writing == [row for row in listed if row[1] == "write"]


async def test_counts_are_added_to_those_of_the_day(two_workspaces: TwoWorkspaces) -> None:
    """Each number of a count is added to the row of its day, workflow and model, and to no other row."""
    workspaces = two_workspaces
    for day, workflow, model in ((TODAY, "write", "small"), (TODAY, "write", "large"), (TODAY, "classify", "small")):
        insert_row(workspaces, USAGE, day=day, workflow=workflow, model=model)
    numbers: dict[str, Any] = {
        "requests": 1,
        "answered": 2,
        "refused": 3,
        "tokens_in": 4,
        "tokens_out": 5,
        "unpriced": 6,
        "cost": 7.5,
    }
    counts = [Count(TODAY, "write", "small", **numbers)]

    async def count_twice(session: AsyncSession) -> None:
        await repository.add_usage(session, workspaces.id, counts)
        await repository.add_usage(session, workspaces.id, counts)

    acted = await run_act(workspaces, count_twice)
    key = f"{workspaces.id} {TODAY} write small"
    assert acted.changes == {USAGE: {key: {name: (0, 2 * number) for name, number in numbers.items()}}}


async def test_questions_are_permitted_in_turn_while_tokens_are_left(two_workspaces: TwoWorkspaces) -> None:
    """A question of just what is left is permitted, and reserves its tokens until midnight; one of a token more is
    refused, takes nothing from those behind it, and all count on the day in the workspace's zone.
    """
    workspaces = two_workspaces
    set_budget(workspaces, 100)
    insert_row(workspaces, USAGE, day=TODAY, tokens_in=40)
    sizes = (31, 30, 29, 28, 1, 0)
    questions = [ModelCall("write", "small", size, NOW - timedelta(days=index)) for index, size in enumerate(sizes)]

    async def permit(session: AsyncSession) -> Any:
        permissions = await service.reserve_tokens(session, workspaces.id, questions)
        reservations = await session.execute(_LIFETIMES)
        budget = await service.get_budget(session, workspaces.id, NOW)
        return permissions, {row.id: (row.tokens, row.seconds) for row in reservations}, budget

    acted = await run_act(workspaces, permit)
    permissions, reservations, budget = acted.result
    assert [isinstance(permission, Permission) for permission in permissions] == [True, False, True, False, False, True]
    granted = [permission for permission in permissions if isinstance(permission, Permission)]
    assert [reservations[permission.reservation] for permission in granted] == [
        (31, 84_600),
        (29, 84_600),
        (0, 84_600),
    ]
    assert {permission.day for permission in granted} == {TODAY}
    (refusal,) = {permission for permission in permissions if isinstance(permission, str)}
    assert "budget of 100 tokens" in refusal
    assert "until midnight in Africa/Johannesburg" in refusal
    assert budget == Budget(TODAY, 100, 100)
    (row,) = (row for key, row in acted.changes[USAGE].items() if key.startswith(f"{workspaces.id} {TODAY}"))
    assert (row["requests"][1], row["refused"][1], row["workflow"][1]) == (3, 3, "write")


async def test_without_a_budget_all_is_permitted(two_workspaces: TwoWorkspaces) -> None:
    """Where there is no budget each question is permitted and counted, and none is reserved."""
    workspaces = two_workspaces
    set_budget(workspaces, None)
    questions = [ModelCall("write", "small", 10**6, NOW)] * 2
    acted = await run_act(workspaces, lambda session: service.reserve_tokens(session, workspaces.id, questions))
    assert acted.result == [Permission(TODAY, None)] * 2
    assert acted.changes.keys() == {USAGE}
    (row,) = acted.changes[USAGE].values()
    assert (row["requests"][1], row["refused"][1]) == (2, 0)


async def test_what_was_taken_is_counted_and_its_reservation_released(two_workspaces: TwoWorkspaces) -> None:
    """Each settlement counts on the day of its permission; one is unpriced that took a token at no known price."""
    workspaces = two_workspaces
    reserved = [workspaces.add(RESERVATIONS) for _ in range(3)]
    used = [
        Usage("small", 1, 0, None),
        Usage("small", 0, 0, None),
        Usage("small", 100, 20, 0.5),
        Usage("small", 3, 0, 0.0),
    ]
    settlements = [
        Settlement(
            ModelCall("settle", "small", 1, NOW),
            Permission(TODAY, reservation),
            UsageRecord(usage, is_answered=is_answered),
        )
        for usage, reservation, is_answered in zip(
            used, [*reserved[:2], None, None], (True, False, True, True), strict=True
        )
    ]
    acted = await run_act(workspaces, lambda session: service.settle_reservations(session, workspaces.id, settlements))
    assert acted.result == [None] * 4
    assert acted.rows == {
        RESERVATIONS: {str(id_) for id_ in reserved[:2]},
        USAGE: {f"{workspaces.id} {TODAY} settle small"},
    }
    (row,) = acted.changes[USAGE].values()
    counted = {name: row[name][1] for name in ("requests", "answered", "tokens_in", "tokens_out", "unpriced", "cost")}
    assert counted == {"requests": 0, "answered": 3, "tokens_in": 104, "tokens_out": 20, "unpriced": 1, "cost": 0.5}

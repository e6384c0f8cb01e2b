import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from ai.errors import TokenBudgetExceeded
from ai.models import Attempts
from ai.usage import Usage
from api.accounts.usage.service import ModelCall, WorkspaceMeter, reserve_tokens
from api.http.batches import Batches
from api.http.resources import Services
from database.tenancy import Scope, transaction
from tests.api.running import stop_clock

pytestmark = pytest.mark.anyio


def meter(services: Services, workspace: str) -> WorkspaceMeter:
    """Return a meter of the workspace as a process of its own would have it."""
    return WorkspaceMeter(Batches(services.pool, 0.001), services.clock, UUID(workspace))


async def ask(
    meter: WorkspaceMeter, tokens: int, *, taken: int | None = None, cost: float | None = 0.5, max_attempts: int = 1
) -> bool:
    """Ask one question that may take `tokens`, and takes as many where nothing else is said; False if refused."""
    try:
        async with meter.meter_call("email_generation", "small", tokens, max_attempts) as reading:
            reading.usage = Usage("small", tokens_in=tokens if taken is None else taken, cost=cost)
            reading.is_answered = True
    except TokenBudgetExceeded:
        return False
    return True


async def set_budget(client: httpx.AsyncClient, workspace: str, tokens: int | None) -> None:
    """Set the workspace's budget."""
    response = await client.patch(f"/api/workspaces/{workspace}", json={"dailyTokenBudget": tokens})
    assert response.json()["dailyTokenBudget"] == tokens


async def usage(client: httpx.AsyncClient, workspace: str, **query: str) -> dict[str, Any]:
    """Return what the API says of the workspace's usage."""
    response = await client.get(f"/api/workspaces/{workspace}/ai/usage", params=query)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_without_a_budget_all_is_counted(
    app_client: httpx.AsyncClient, workspace: str, services: Services
) -> None:
    """Questions, answers, tokens and known cost of a day add up in one row per workflow and model."""
    stop_clock(services.clock, datetime(2026, 11, 22, 23, 30, tzinfo=UTC))
    one = meter(services, workspace)
    assert await ask(one, 1_000, taken=100)
    assert await ask(one, 1_000, taken=50, cost=None)

    found = await usage(app_client, workspace)

    # In Johannesburg it is the next day already.
    assert found["today"] == {"day": "2026-11-23", "tokens": None, "used": 150}
    assert found["days"] == [
        {
            "day": "2026-11-23",
            "workflow": "email_generation",
            "model": "small",
            "requests": 2,
            "answered": 2,
            "refused": 0,
            "tokensIn": 150,
            "tokensOut": 0,
            "cost": 0.5,
            "unpriced": 1,
        }
    ]


async def test_a_request_that_fails_counts_without_an_answer(
    app_client: httpx.AsyncClient, workspace: str, services: Services
) -> None:
    """A request to a model that fails leaves its tokens counted, and none reserved."""
    await set_budget(app_client, workspace, 1_000)

    async def break_off() -> None:
        async with meter(services, workspace).meter_call("csv_mapping", "small", 900) as reading:
            reading.usage = Usage("small", tokens_in=10)
            raise KeyError

    with pytest.raises(KeyError):
        await break_off()
    found = await usage(app_client, workspace)
    (row,) = found["days"]
    assert (row["requests"], row["answered"], row["tokensIn"], found["today"]["used"]) == (1, 0, 10, 10)
    assert not await ask(meter(services, workspace), 991)
    assert await ask(meter(services, workspace), 990)


async def test_who_ask_at_once_stay_within_the_budget(
    app_client: httpx.AsyncClient, workspace: str, services: Services
) -> None:
    """Of twenty that ask at the same moment, in four processes, as many are let through as the budget holds."""
    await set_budget(app_client, workspace, 5_500)
    processes = [meter(services, workspace) for _ in range(4)]
    answers = await asyncio.gather(*(ask(processes[number % 4], 1_000) for number in range(20)))

    assert answers.count(True) == 5
    found = await usage(app_client, workspace)
    (row,) = found["days"]
    assert (row["requests"], row["refused"], row["tokensIn"]) == (5, 15, 5_000)


async def test_a_question_under_way_counts(app_client: httpx.AsyncClient, workspace: str, services: Services) -> None:
    """What may still be taken is not given to others; what was not taken of it is free again."""
    await set_budget(app_client, workspace, 1_000)
    one = meter(services, workspace)
    async with AsyncExitStack() as under_way:
        reading = await under_way.enter_async_context(one.meter_call("email_generation", "small", 900))
        reading.usage = Usage("small", tokens_in=100)
        assert not await ask(one, 200)
    assert await ask(one, 900)
    assert not await ask(one, 1)


async def test_who_was_killed_while_asking_holds_nothing_for_ever(
    app_client: httpx.AsyncClient, workspace: str, services: Services
) -> None:
    """A reservation that is not settled stops counting when it has expired."""
    await set_budget(app_client, workspace, 1_000)
    reserved = (
        "INSERT INTO app.ai_reservations (workspace_id, tokens, expires_at)"
        " VALUES (:workspace, 900, now() + make_interval(mins => :minutes))"
    )
    one = meter(services, workspace)
    for minutes, is_let in ((-1, True), (5, False)):
        async with transaction(services.pool, Scope(workspace_id=UUID(workspace))) as session:
            await session.execute(text(reserved), {"workspace": workspace, "minutes": minutes})
        assert await ask(one, 500, taken=0) is is_let


@pytest.mark.parametrize(
    ("attempts", "used"),
    [
        (Attempts(sent=0), 0),
        (Attempts(sent=1), 300),
        (Attempts(sent=3), 900),
        (Attempts(sent=3, refused=2), 300),
        (Attempts(sent=3, counted=1), 610),
        (Attempts(sent=1, counted=1), 10),
        (Attempts(sent=1, refused=1), 0),
    ],
)
async def test_requests_of_unknown_usage_stay_reserved(
    app_client: httpx.AsyncClient, workspace: str, services: Services, attempts: Attempts, used: int
) -> None:
    """Each request that timed out or broke counts with what was reserved for it; refused ones count nothing."""
    await set_budget(app_client, workspace, 1_000)
    one = meter(services, workspace)
    assert not await ask(one, 501, max_attempts=2)
    async with one.meter_call("email_generation", "small", 300, 3) as reading:
        reading.attempts = attempts
        reading.usage = Usage("small", tokens_in=10 * attempts.counted)
        assert (await usage(app_client, workspace))["today"]["used"] == 900
    assert (await usage(app_client, workspace))["today"]["used"] == used
    assert not await ask(one, 1_001 - used)
    assert await ask(one, 1_000 - used)


async def test_a_killed_call_counts_until_midnight(
    app_client: httpx.AsyncClient, workspace: str, services: Services
) -> None:
    """A call whose process was killed stays reserved until the workspace's midnight, and at least for 15 minutes."""
    await set_budget(app_client, workspace, 1_000)
    one = meter(services, workspace)
    lifetime = text("SELECT extract(epoch FROM expires_at - now())::int FROM app.ai_reservations ORDER BY id")
    for hour in (12, 21):
        stop_clock(services.clock, datetime(2026, 11, 22, hour, 50, tzinfo=UTC))
        killed = ModelCall("email_generation", "small", 400, services.clock.now())
        await services.batches.run(reserve_tokens, UUID(workspace), killed)
    assert not await ask(one, 500)
    async with transaction(services.pool, Scope(workspace_id=UUID(workspace))) as session:
        lifetimes = (await session.scalars(lifetime)).all()
    assert [round(seconds, -2) for seconds in lifetimes] == [33_000, 900]


async def test_a_new_day_has_a_budget_of_its_own(
    app_client: httpx.AsyncClient, workspace: str, services: Services
) -> None:
    """What was taken before the workspace's midnight does not count after it; both days are told, newest first."""
    await set_budget(app_client, workspace, 100)
    stop_clock(services.clock, datetime(2026, 11, 22, 21, 59, 59, tzinfo=UTC))
    one = meter(services, workspace)
    assert await ask(one, 100)
    assert not await ask(one, 100)
    stop_clock(services.clock, datetime(2026, 11, 22, 22, tzinfo=UTC))
    assert await ask(one, 100)

    rows = (await usage(app_client, workspace))["days"]
    assert [row["day"] for row in rows] == ["2026-11-23", "2026-11-22"]
    narrowed = await usage(app_client, workspace, start="2026-11-22", end="2026-11-22", workflow="email_generation")
    assert [row["day"] for row in narrowed["days"]] == ["2026-11-22"]
    assert (await usage(app_client, workspace, workflow="csv_mapping"))["days"] == []


async def test_a_period_that_is_none_is_refused(app_client: httpx.AsyncClient, workspace: str) -> None:
    """Days that end before they start, and more than a year of them, are named as what is wrong."""
    for query in ({"start": "2026-02-02", "end": "2026-02-01"}, {"start": "2024-01-01", "end": "2026-01-01"}):
        response = await app_client.get(f"/api/workspaces/{workspace}/ai/usage", params=query)
        assert (response.status_code, response.json()["code"]) == (422, "malformed")


async def test_another_tenant_sees_nothing(app_client: httpx.AsyncClient, workspace: str, services: Services) -> None:
    """Usage and budget are of one workspace; another of the same account has none of it."""
    await set_budget(app_client, workspace, 100)
    assert await ask(meter(services, workspace), 100)
    body = {"name": "Other", "defaultFromName": "Ann", "defaultFromEmail": "ann@acme.example"}
    other = (await app_client.post("/api/workspaces", json=body)).json()["id"]
    found = await usage(app_client, other)
    assert (found["days"], found["today"]["tokens"], found["today"]["used"]) == ([], None, 0)
    assert await ask(meter(services, other), 100)

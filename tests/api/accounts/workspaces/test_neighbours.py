from datetime import time, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.workspaces import repository, service
from api.http.errors import Malformed
from database.tenancy import Scope, enter_scope
from tests.acting import FIRST_PAGE, run_act
from tests.two_workspaces import NOW, TwoWorkspaces

pytestmark = pytest.mark.anyio

WORKSPACES, JOBS, CONNECTIONS = "app.workspaces", "app.scheduled_jobs", "app.everlytic_connections"
HOUR = timedelta(hours=1)


def found(row: Any) -> UUID | None:
    """Return the id of a row, None for none."""
    return None if row is None else UUID(str(row.id))


@pytest.mark.parametrize("find", ["find_workspace", "lock_workspace", "lock_unlimited_workspace"])
async def test_one_workspace_of_an_account_is_found(two_workspaces: TwoWorkspaces, find: str) -> None:
    """Of an account's workspaces the one that is named is found and locked, unless it is deleted."""
    workspaces = two_workspaces
    beside, deleted = workspaces.add(WORKSPACES), workspaces.add(WORKSPACES, deleted_at=NOW)
    for requested_id in (workspaces.id, beside, deleted):

        async def look_up(session: AsyncSession, workspace_id: UUID = requested_id) -> UUID | None:
            return found(await getattr(repository, find)(session, workspace_id))

        acted = await run_act(workspaces, look_up, locks_in=WORKSPACES)
        is_found = {requested_id} - {deleted}
        assert acted.result == next(iter(is_found), None)
        assert acted.locked == (set() if find == "find_workspace" else is_found)


@pytest.mark.parametrize("limit", ["daily_cap", "sends_per_minute", "domain_gap_seconds"])
async def test_each_limit_makes_a_workspace_limited(two_workspaces: TwoWorkspaces, limit: str) -> None:
    """A workspace with any limit is locked by who sends alone, not side by side with others."""
    two_workspaces.set(WORKSPACES, two_workspaces.id, **{limit: 1})

    async def lock(session: AsyncSession) -> list[UUID | None]:
        return [
            found(await repository.lock_unlimited_workspace(session, two_workspaces.id)),
            found(await service.lock_to_send(session, two_workspaces.id)),
        ]

    assert (await run_act(two_workspaces, lock)).result == [None, two_workspaces.id]


async def test_each_change_is_of_one_workspace(two_workspaces: TwoWorkspaces) -> None:
    """A workspace is changed or deleted, and no other of its account; listed are those that are not deleted."""
    workspaces = two_workspaces
    changed, deleted, other = (workspaces.add(WORKSPACES) for _ in range(3))
    workspaces.add(WORKSPACES, deleted_at=NOW)

    async def change(session: AsyncSession) -> list[UUID | None]:
        await repository.change_workspace(session, changed, {"name": "New"})
        await repository.delete_workspace(session, deleted)
        return [found(workspace) for workspace in await repository.list_workspaces(session, FIRST_PAGE)]

    acted = await run_act(workspaces, change)
    assert acted.rows == {WORKSPACES: {str(changed), str(deleted)}}
    assert acted.result == [other, changed, workspaces.id]


async def test_a_token_finds_its_own_connection(two_workspaces: TwoWorkspaces) -> None:
    """A webhook's token finds the connection it belongs to, beside that of the scope's workspace."""
    workspaces = two_workspaces
    ids = {"mine": workspaces.ids[CONNECTIONS], "theirs": workspaces.neighbour[CONNECTIONS]}
    for name, connection_id in ids.items():
        workspaces.set(CONNECTIONS, connection_id, webhook_token_hash=name)

    async def find(session: AsyncSession) -> list[UUID | None]:
        await enter_scope(session, Scope(workspace_id=workspaces.id, credential_hash="theirs"))
        return [
            found(await repository.find_connection_by_token(session, name)) for name in ("mine", "theirs", "unknown")
        ]

    assert (await run_act(workspaces, find)).result == [ids["mine"], ids["theirs"], None]


@pytest.mark.parametrize(
    ("values", "is_legal", "asks_again"),
    [
        ({}, True, False),
        ({"name": "New"}, True, False),
        ({"window_start": time(16, 59), "window_end": time(17)}, True, True),
        ({"window_start": time(17), "window_end": time(17)}, False, False),
        ({"mid_market_from": 999, "enterprise_from": 1000}, True, False),
        ({"mid_market_from": 1000, "enterprise_from": 1000}, False, False),
        ({"daily_cap": 10}, True, True),
        ({"ramp_from": 1}, False, False),
    ],
)
async def test_settings_are_changed_where_they_fit(
    two_workspaces: TwoWorkspaces, values: dict[str, Any], *, is_legal: bool, asks_again: bool
) -> None:
    """Settings change up to their bounds, and ask mails again that were put off where they say when mail may leave."""
    workspaces = two_workspaces
    job_id = workspaces.add(JOBS, job_type="send_email", scheduled_for=NOW - HOUR, run_at=NOW + HOUR)

    async def change(session: AsyncSession) -> bool:
        workspace = await service.lock_workspace(session, workspaces.id)
        try:
            await service.change_workspace(session, workspace, values, NOW)
        except Malformed:
            return False
        return True

    acted = await run_act(workspaces, change)
    assert acted.result is is_legal
    acted.changes.pop("app.send_slots", None)
    changed = {WORKSPACES: {str(workspaces.id)}} if is_legal and values else {}
    assert acted.rows == changed | ({JOBS: {str(job_id)}} if asks_again else {})

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.workspaces import repository, service
from tests.blocking import Blocking

pytestmark = pytest.mark.anyio

WORKSPACES, CONNECTIONS = "app.workspaces", "app.everlytic_connections"


@pytest.mark.parametrize(
    ("call", "mode", "table"),
    [
        pytest.param(
            repository.lock_workspace,
            "NO KEY UPDATE",
            WORKSPACES,
            marks=pytest.mark.locks("api.accounts.workspaces.repository:lock_workspace"),
        ),
        pytest.param(
            repository.lock_unlimited_workspace,
            "SHARE",
            WORKSPACES,
            marks=pytest.mark.locks("api.accounts.workspaces.repository:lock_unlimited_workspace"),
        ),
        pytest.param(
            repository.lock_connection,
            "UPDATE",
            CONNECTIONS,
            marks=pytest.mark.locks("api.accounts.workspaces.repository:lock_connection"),
        ),
    ],
    ids=["to change", "to send without limits", "the connection"],
)
async def test_a_workspace_is_locked(blocking: Blocking, call: Any, mode: str, table: str) -> None:
    """A workspace is locked against changes to change it and shared to send; its connection is locked against all."""
    row_id: UUID = blocking.ids[table]
    await blocking.prove_row_lock(mode, table, [row_id], lambda session: call(session, blocking.workspace_id))


@pytest.mark.parametrize(("cap", "mode"), [(None, "SHARE"), (5, "NO KEY UPDATE")], ids=["unlimited", "limited"])
async def test_a_limit_lets_one_claim_at_a_time(blocking: Blocking, cap: int | None, mode: str) -> None:
    """Claims share a workspace without limits, and lock one with a limit against each other."""
    blocking.run("UPDATE app.workspaces SET daily_cap = %s", cap)
    await blocking.prove_row_lock(
        mode,
        WORKSPACES,
        [blocking.workspace_id],
        lambda session: service.lock_to_send(session, blocking.workspace_id),
    )


async def test_who_waits_to_send_sees_a_limit_that_was_set(blocking: Blocking) -> None:
    """A claim that waited for a change that sets a limit then locks the workspace with that limit."""

    async def limit(session: AsyncSession) -> None:
        await repository.lock_workspace(session, blocking.workspace_id)
        await repository.change_workspace(session, blocking.workspace_id, {"daily_cap": 5})

    async with blocking.kept_open(limit) as limiting:
        sending = await blocking.start_waiting(
            lambda session: service.lock_to_send(session, blocking.workspace_id), limiting.pid
        )
    assert (await sending).daily_cap == 5

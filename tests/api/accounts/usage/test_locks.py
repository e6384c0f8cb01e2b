from functools import partial
from uuid import UUID

import pytest

from api.accounts.usage import repository, service
from tests.blocking import Blocking
from tests.database.rows import NOW

pytestmark = pytest.mark.anyio


@pytest.mark.locks("api.accounts.usage.repository:_LOCK_BUDGET")
async def test_tokens_of_a_workspace_are_reserved_one_after_the_other(blocking: Blocking) -> None:
    """A reservation of tokens waits for another one of the same workspace, and not for another workspace."""
    reserve, reserve_other = (
        partial(repository.lock_budget, workspace_id=workspace_id)
        for workspace_id in (blocking.workspace_id, UUID(int=1))
    )
    await blocking.prove_exclusive(reserve, others=[reserve], free=[reserve_other])


async def test_the_last_tokens_of_a_day_are_given_once(blocking: Blocking) -> None:
    """Of two concurrent requests that each need the rest of the budget, the second is refused."""
    blocking.run("DELETE FROM app.ai_usage")
    blocking.run("DELETE FROM app.ai_reservations")
    blocking.run("UPDATE app.workspaces SET daily_token_budget = 10")
    ask = partial(
        service.reserve_tokens,
        workspace_id=blocking.workspace_id,
        calls=[service.ModelCall("email_generation", "model", 10, NOW)],
    )
    async with blocking.kept_open(ask) as first:
        second = await blocking.start_waiting(ask, first.pid)
    assert [isinstance(answer, service.Permission) for answer in first.result] == [True]
    assert [isinstance(answer, str) for answer in await second] == [True]

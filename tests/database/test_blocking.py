"""The harness of lock tests can fail: it sees a lock that is missing, too weak, too strong or out of order."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.blocking import MODES, Blocking

pytestmark = pytest.mark.anyio

LEADS = "app.leads"


@pytest.mark.parametrize("taken", [*(f"FOR {mode}" for mode in MODES), ""])
async def test_a_mode_is_proved_only_by_itself(blocking: Blocking, taken: str) -> None:
    """Of the four modes of row locks exactly that is proved which the statement takes, and without a lock none."""
    ids = blocking.add_lower(LEADS, email="another@lead.example")

    async def lock(session: AsyncSession) -> None:
        await session.execute(text(f"SELECT id FROM app.leads ORDER BY id {taken}"))

    proved = []
    for mode in MODES:
        try:
            await blocking.prove_row_lock(mode, LEADS, ids, lock)
        except pytest.fail.Exception:
            continue
        proved.append(f"FOR {mode}")
    assert proved == ([taken] if taken else [])


async def test_an_order_is_proved(blocking: Blocking) -> None:
    """A statement that locks the higher id first, or in no order, is not taken for one that sorts."""
    ids = blocking.add_lower(LEADS, email="another@lead.example")
    for order in ("ORDER BY id DESC", ""):

        async def lock(session: AsyncSession, order: str = order) -> None:
            await session.execute(text(f"SELECT id FROM app.leads {order} FOR UPDATE"))

        with pytest.raises(pytest.fail.Exception, match="behind the first"):
            await blocking.prove_row_lock("UPDATE", LEADS, ids, lock)


async def test_a_call_that_waits_is_not_taken_for_free(blocking: Blocking) -> None:
    """A call that has to wait where it should not is ended, and the failure names the backend it waits for."""

    async def lock(session: AsyncSession) -> None:
        await session.execute(text("SELECT id FROM app.leads FOR UPDATE"))

    async with blocking.kept_open(lock) as side:
        with pytest.raises(pytest.fail.Exception, match=str(side.pid)):
            await blocking.run_alone(lock)

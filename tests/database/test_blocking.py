"""The harness of the lock tests detects locks that are missing, too weak, too strong or in the wrong order."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.blocking import MODES, Blocking

pytestmark = pytest.mark.anyio

LEADS = "app.leads"


@pytest.mark.parametrize("clause", [*(f"FOR {mode}" for mode in MODES), ""])
async def test_only_the_mode_of_the_statement_is_proved(blocking: Blocking, clause: str) -> None:
    """The harness proves exactly the row lock mode that the statement takes, and none without a lock."""
    ids = blocking.add_lower(LEADS, email="another@lead.example")

    async def lock(session: AsyncSession) -> None:
        await session.execute(text(f"SELECT id FROM app.leads ORDER BY id {clause}"))

    proved = []
    for mode in MODES:
        try:
            await blocking.prove_row_lock(mode, LEADS, ids, lock)
        except pytest.fail.Exception:
            continue
        proved.append(f"FOR {mode}")
    assert proved == ([clause] if clause else [])


async def test_a_wrong_lock_order_fails(blocking: Blocking) -> None:
    """A statement that locks ids in descending or undefined order fails the proof."""
    ids = blocking.add_lower(LEADS, email="another@lead.example")
    for order in ("ORDER BY id DESC", ""):

        async def lock(session: AsyncSession, order: str = order) -> None:
            await session.execute(text(f"SELECT id FROM app.leads {order} FOR UPDATE"))

        with pytest.raises(pytest.fail.Exception, match="behind the first"):
            await blocking.prove_row_lock("UPDATE", LEADS, ids, lock)


async def test_a_call_that_waits_unexpectedly_fails(blocking: Blocking) -> None:
    """A call that waits unexpectedly is stopped, and the failure names the backend that blocks it."""

    async def lock(session: AsyncSession) -> None:
        await session.execute(text("SELECT id FROM app.leads FOR UPDATE"))

    async with blocking.kept_open(lock) as side:
        with pytest.raises(pytest.fail.Exception, match=str(side.pid)):
            await blocking.run_alone(lock)

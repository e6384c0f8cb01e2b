from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.people.leads import repository
from database.models import Lead
from domain.lead import LeadEvent
from tests.blocking import Blocking, RowCall

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 4, 10, tzinfo=UTC)
LEADS = "app.leads"


async def find_lead(session: AsyncSession, blocking: Blocking, ids: Sequence[UUID]) -> Lead | None:
    """Lock one lead to change it."""
    return await repository.find_lead(session, blocking.workspace_id, ids[0], lock=True)


async def find_by_address(session: AsyncSession, blocking: Blocking, ids: Sequence[UUID]) -> dict[str, Lead]:
    """Lock leads by their addresses to change them."""
    emails = [email for (email,) in blocking.run("SELECT email FROM app.leads WHERE id = ANY(%s)", list(ids))]
    return await repository.find_by_address(session, blocking.workspace_id, emails, lock=True)


async def move(session: AsyncSession, blocking: Blocking, ids: Sequence[UUID]) -> list[UUID]:
    """Unsubscribe leads."""
    return await repository.apply_event(
        session, blocking.workspace_id, ids, LeadEvent.UNSUBSCRIBED, cause="a person", now=NOW
    )


@pytest.mark.parametrize(
    ("call", "rows"),
    [
        pytest.param(find_lead, 1, marks=pytest.mark.locks("api.people.leads.repository:find_lead"), id="one"),
        pytest.param(
            find_by_address, 2, marks=pytest.mark.locks("api.people.leads.repository:find_by_address"), id="by address"
        ),
        pytest.param(move, 2, marks=pytest.mark.locks("api.people.leads.repository:apply_event"), id="moved"),
    ],
)
async def test_leads_are_locked_by_id(blocking: Blocking, call: RowCall, rows: int) -> None:
    """A change of leads waits for a claim, locks the lower id first, and does not wait for foreign keys."""
    ids = blocking.add_lower(LEADS, email="another@lead.example")[-rows:]
    await blocking.prove_row_lock("NO KEY UPDATE", LEADS, ids, lambda session: call(session, blocking, ids))


@pytest.mark.locks("api.people.leads.repository:apply_event")
async def test_a_lead_is_moved_once(blocking: Blocking) -> None:
    """A second move of the same lead waits for the first, and then moves nothing."""
    ids = [blocking.ids[LEADS]]
    async with blocking.kept_open(lambda session: move(session, blocking, ids)) as first:
        second = await blocking.start_waiting(lambda session: move(session, blocking, ids), first.pid)
    assert (first.result, await second) == (ids, [])


@pytest.mark.parametrize("call", [find_lead, find_by_address], ids=["one", "by address"])
async def test_a_lead_is_read_after_the_wait(blocking: Blocking, call: RowCall) -> None:
    """A lead that was changed while another waited for it is returned as it is then."""
    ids = [blocking.ids[LEADS]]

    async def change(session: AsyncSession) -> None:
        lead = await repository.find_lead(session, blocking.workspace_id, ids[0], lock=True)
        assert lead is not None
        await repository.change_lead(session, lead, {"company": "Acme"})

    async with blocking.kept_open(change) as changing:
        reading = await blocking.start_waiting(lambda session: call(session, blocking, ids), changing.pid)
    answer = await reading
    (lead,) = answer.values() if isinstance(answer, dict) else [answer]
    assert lead.company == "Acme"

from collections.abc import Sequence
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from api.people.lead_lists import repository
from api.people.leads import repository as leads
from database.models import LeadList
from tests.blocking import Blocking, RowCall

pytestmark = pytest.mark.anyio

LISTS = "app.lead_lists"


async def find_list(session: AsyncSession, blocking: Blocking, ids: Sequence[UUID]) -> LeadList | None:
    """Lock a list to rename it."""
    return await repository.find_list(session, blocking.workspace_id, ids[0], lock=True)


async def change_counts(session: AsyncSession, blocking: Blocking, ids: Sequence[UUID]) -> None:
    """Count one lead more in each list."""
    await repository.change_counts(session, blocking.workspace_id, dict.fromkeys(reversed(ids), 1))


async def let_leads_go(session: AsyncSession, blocking: Blocking, ids: Sequence[UUID]) -> None:
    """Take all leads out of a list."""
    await repository.detach_leads(session, blocking.workspace_id, blocking.ids[LISTS])


@pytest.mark.parametrize(
    ("call", "table", "rows"),
    [
        pytest.param(
            find_list, LISTS, 1, marks=pytest.mark.locks("api.people.lead_lists.repository:find_list"), id="find_list"
        ),
        pytest.param(
            change_counts, LISTS, 2, marks=pytest.mark.locks("api.people.lead_lists.repository:_COUNT"), id="count"
        ),
        pytest.param(
            let_leads_go,
            "app.leads",
            2,
            marks=pytest.mark.locks("api.people.lead_lists.repository:detach_leads"),
            id="let_leads_go",
        ),
    ],
)
async def test_rows_are_locked_by_id(blocking: Blocking, call: RowCall, table: str, rows: int) -> None:
    """Lists, and leads that leave one, are locked against changes, the lower id first."""
    blocking.add_lower("app.leads", email="another@lead.example")
    blocking.run("UPDATE app.leads SET list_id = %s", blocking.ids[LISTS])
    ids = [blocking.add_lower(LISTS)[0], blocking.ids[LISTS]]
    if table != LISTS:
        ids = sorted(row[0] for row in blocking.run("SELECT id FROM app.leads"))
    await blocking.prove_row_lock(
        "NO KEY UPDATE", table, ids[-rows:], lambda session: call(session, blocking, ids[-rows:])
    )


@pytest.mark.locks("api.people.lead_lists.repository:detach_leads")
async def test_a_lead_that_left_a_list_keeps_its_new_one(blocking: Blocking) -> None:
    """Emptying a list waits for an open move of a lead to another list, and leaves that lead there."""
    low, high = blocking.add_lower(LISTS)
    lead_id = blocking.ids["app.leads"]
    blocking.run("UPDATE app.leads SET list_id = %s", high)

    async def join_other(session: AsyncSession) -> None:
        lead = await leads.find_lead(session, blocking.workspace_id, lead_id, lock=True)
        assert lead is not None
        await leads.change_lead(session, lead, {"list_id": low})

    async with blocking.kept_open(join_other) as joining:
        emptying = await blocking.start_waiting(lambda session: let_leads_go(session, blocking, []), joining.pid)
    await emptying
    assert blocking.run("SELECT list_id FROM app.leads") == [(low,)]


@pytest.mark.locks("api.people.lead_lists.repository:_LOCK_SHARED", "api.people.lead_lists.repository:_LOCK_EXCLUSIVE")
async def test_joining_and_deleting_exclude_each_other(blocking: Blocking) -> None:
    """Joining a list and deleting it exclude each other; two that join, and other lists, do not wait."""
    low, high = blocking.add_lower(LISTS)
    keep = {
        id_: partial(repository.lock_shared, workspace_id=blocking.workspace_id, list_ids=[id_]) for id_ in (low, high)
    }
    close = {
        id_: partial(repository.lock_exclusive, workspace_id=blocking.workspace_id, list_id=id_) for id_ in (low, high)
    }
    await blocking.prove_exclusive(keep[low], others=[close[low]], free=[keep[low], close[high]])
    await blocking.prove_exclusive(close[low], others=[keep[low], close[low]], free=[keep[high], close[high]])


async def test_a_deleted_list_is_not_joined(blocking: Blocking) -> None:
    """Joining waits for an open deletion of the list, and then finds no list."""
    list_id = blocking.ids[LISTS]

    async def delete(session: AsyncSession) -> None:
        await repository.lock_exclusive(session, blocking.workspace_id, list_id)
        await repository.delete_list(session, blocking.workspace_id, list_id)

    async with blocking.kept_open(delete) as deleting:
        joining = await blocking.start_waiting(
            lambda session: repository.lock_shared(session, blocking.workspace_id, [list_id]), deleting.pid
        )
    assert await joining == set()


async def test_lists_are_kept_in_the_order_of_their_ids(blocking: Blocking) -> None:
    """A transaction that waits for the lower of two lists has not locked the higher one yet."""
    low, high = blocking.add_lower(LISTS)
    async with blocking.kept_open(
        lambda session: repository.lock_exclusive(session, blocking.workspace_id, low)
    ) as closing:
        keeping = await blocking.start_waiting(
            lambda session: repository.lock_shared(session, blocking.workspace_id, [high, low]), closing.pid
        )
        await blocking.run_alone(lambda session: repository.lock_exclusive(session, blocking.workspace_id, high))
    assert await keeping == {low, high}

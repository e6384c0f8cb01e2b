import asyncio
from collections import Counter
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from api.http.resources import Services
from database.models import Lead, LeadList
from database.tenancy import Scope, transaction
from tests.api.lead_requests import add, add_list, count_of, leads_of

pytestmark = pytest.mark.anyio

CLIENTS = 50


async def test_one_of_many_wins(app_client: httpx.AsyncClient, base: str, served: str, api_key: str) -> None:
    """Of 50 clients that create the same address at once, one gets the lead and 49 a clear no; it counts once."""
    list_id = await add_list(app_client, base)
    body = {"email": "ann@example.com", "listId": list_id}

    async def create() -> httpx.Response:
        headers = {"Authorization": f"Bearer {api_key}"}
        async with httpx.AsyncClient(base_url=served, headers=headers, timeout=60) as client:
            return await client.post(f"{base}/leads", json=body)

    answers = await asyncio.gather(*(create() for _ in range(CLIENTS)))
    won, lost = ([answer for answer in answers if answer.is_success is succeeded] for succeeded in (True, False))
    assert [answer.status_code for answer in won] == [201]
    assert {(answer.status_code, answer.json()["code"]) for answer in lost} == {(409, "already_exists")}
    assert all("ann@example.com" in answer.json()["detail"] for answer in lost)
    assert [lead["id"] for lead in await leads_of(app_client, base)] == [won[0].json()["id"]]
    assert await count_of(app_client, base, list_id) == 1


async def test_counts_stay_true(app_client: httpx.AsyncClient, base: str, workspace: str, services: Services) -> None:
    """Leads that come, move, go, come back and are erased while lists are deleted leave every count as it must be."""
    lists = [await add_list(app_client, base, name) for name in "ABCD"]
    made = await asyncio.gather(
        *(add(app_client, base, f"p{number}@example.com", listId=lists[number % 4]) for number in range(32))
    )
    gone = made[:6]
    for lead in gone:
        assert (await app_client.delete(f"{base}/leads/{lead['id']}")).status_code == 204

    def bulk(number: int) -> dict[str, object]:
        rows = [{"email": f"p{one}@example.com", "listId": lists[(one + number) % 3]} for one in range(20, 50)]
        return {"leads": rows[::-1] if number % 2 else rows, "onExisting": ("overwrite", "fill", "skip")[number % 3]}

    leads = [f"{base}/leads/{lead['id']}" for lead in made]
    acts = [
        *(app_client.post(f"{path}/restore") for path in leads[:6] * 2),
        *(app_client.patch(leads[one], json={"listId": lists[(one * 7) % 3]}) for one in range(6, 24)),
        *(app_client.patch(leads[one], json={"listId": None}) for one in range(10, 16)),
        *(app_client.delete(path) for path in leads[4:10]),
        *(app_client.post(f"{path}/erase") for path in leads[22:26]),
        *(app_client.post(f"{base}/leads/bulk", json=bulk(number)) for number in range(6)),
        *(app_client.delete(f"{base}/lead-lists/{list_id}") for list_id in lists[2:]),
        *(
            app_client.post(f"{base}/leads", json={"email": f"n{n}@example.com", "listId": lists[n % 4]})
            for n in range(12)
        ),
    ]
    order = sorted(range(len(acts)), key=lambda index: (index * 37) % len(acts))
    answers = await asyncio.gather(*(acts[index] for index in order))
    assert {answer.status_code for answer in answers} <= {200, 201, 204, 404, 409}, [
        answer.text for answer in answers if answer.status_code >= 500
    ]
    workspace_id = UUID(workspace)
    async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
        rows = await session.execute(select(Lead.list_id).where(Lead.deleted_at.is_(None)))
        held = Counter(str(list_id) for (list_id,) in rows if list_id is not None)
        lists_now = await session.execute(select(LeadList.id, LeadList.lead_count, LeadList.deleted_at))
        counts = {str(list_id): (count, deleted is not None) for list_id, count, deleted in lists_now}
    assert counts == {list_id: (held[list_id], list_id in lists[2:]) for list_id in lists}
    assert held.keys() <= set(lists[:2])
    assert sum(held.values()) > 0

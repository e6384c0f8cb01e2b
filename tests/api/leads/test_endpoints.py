import asyncio
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio

NOBODY = "018f0000-0000-7000-8000-000000000000"


@pytest.fixture
def base(workspace: str) -> str:
    """Where the workspace's resources are."""
    return f"/api/workspaces/{workspace}"


async def add(client: httpx.AsyncClient, base: str, email: str, **fields: Any) -> dict[str, Any]:
    """Create a lead and return it."""
    response = await client.post(f"{base}/leads", json={"email": email, **fields})
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def add_list(client: httpx.AsyncClient, base: str, name: str = "Prospects") -> str:
    """Create a list and return its id."""
    response = await client.post(f"{base}/lead-lists", json={"name": name})
    assert response.status_code == 201, response.text
    list_id: str = response.json()["id"]
    return list_id


async def count_of(client: httpx.AsyncClient, base: str, list_id: str) -> int:
    """Return what a list says its count is."""
    count: int = (await client.get(f"{base}/lead-lists/{list_id}")).json()["leadCount"]
    return count


async def test_create_and_get(app_client: httpx.AsyncClient, base: str) -> None:
    """A lead comes back as it was given, its address in lower case, as new."""
    given = {
        "firstName": "Ann",
        "lastName": "Lee",
        "company": "Acme",
        "role": "CTO",
        "segment": "Mid-Market",
        "timezone": "Africa/Johannesburg",
        "customFields": {"Deal Stage": "won", "Seats": 5, "VIP": True},
    }
    made = await add(app_client, base, "Ann.Lee@Example.com", **given)
    assert made.items() >= given.items()
    assert (made["email"], made["status"], made["listId"]) == ("ann.lee@example.com", "New", None)
    assert (await app_client.get(f"{base}/leads/{made['id']}")).json() == made


async def test_address_is_unique(app_client: httpx.AsyncClient, base: str) -> None:
    """The same address in another case is a conflict that names it; after a deletion it is free again."""
    made = await add(app_client, base, "ann@example.com")
    taken = await app_client.post(f"{base}/leads", json={"email": "ANN@example.com"})
    assert (taken.status_code, taken.json()["code"]) == (409, "already_exists")
    assert "ann@example.com" in taken.json()["detail"]
    assert (await app_client.delete(f"{base}/leads/{made['id']}")).status_code == 204
    assert (await app_client.get(f"{base}/leads/{made['id']}")).status_code == 404
    await add(app_client, base, "ann@example.com")


async def test_one_of_many_wins(app_client: httpx.AsyncClient, base: str) -> None:
    """Of 20 clients that create the same address at once, one gets the lead and 19 a clear answer; it counts once."""
    list_id = await add_list(app_client, base)
    body = {"email": "ann@example.com", "listId": list_id}
    answers = await asyncio.gather(*(app_client.post(f"{base}/leads", json=body) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert await count_of(app_client, base, list_id) == 1


async def test_counts_stay_true(app_client: httpx.AsyncClient, base: str) -> None:
    """Leads that come, move and go at the same time leave each list with the count of its leads."""
    lists = [await add_list(app_client, base, name) for name in ("A", "B")]
    made = await asyncio.gather(
        *(add(app_client, base, f"p{number}@example.com", listId=lists[number % 2]) for number in range(20))
    )
    moves = [
        app_client.patch(f"{base}/leads/{lead['id']}", json={"listId": lists[(number // 2) % 2]})
        for number, lead in enumerate(made[:16])
    ]
    leaves = [app_client.patch(f"{base}/leads/{lead['id']}", json={"listId": None}) for lead in made[16:18]]
    deletions = [app_client.delete(f"{base}/leads/{lead['id']}") for lead in (*made[14:16], *made[18:])]
    answers = await asyncio.gather(*moves, *leaves, *deletions)
    assert {answer.status_code for answer in answers} <= {200, 204, 404}
    for list_id in lists:
        held = (await app_client.get(f"{base}/leads", params={"listId": list_id})).json()["items"]
        assert await count_of(app_client, base, list_id) == len(held)
    assert sum([await count_of(app_client, base, one) for one in lists]) == 14


async def test_filters(app_client: httpx.AsyncClient, base: str) -> None:
    """The list answers to status, segment, list, part of a text, and time of change, newest first."""
    list_id = await add_list(app_client, base)
    ann = await add(app_client, base, "ann@example.com", firstName="Ann", lastName="Lee", listId=list_id)
    bob = await add(app_client, base, "bob@acme.com", company="100% Corp", segment="SMB")

    async def found(**params: str) -> list[str]:
        response = await app_client.get(f"{base}/leads", params=params)
        assert response.status_code == 200, response.text
        return [lead["id"] for lead in response.json()["items"]]

    assert await found() == [bob["id"], ann["id"]]
    assert await found(segment="SMB") == [bob["id"]]
    assert await found(listId=list_id) == [ann["id"]]
    assert await found(status="Qualified") == []
    assert await found(q="n Le") == [ann["id"]]
    assert await found(q="100%") == [bob["id"]]
    assert await found(q="%") == [bob["id"]]
    assert await found(updatedSince=bob["updatedAt"]) == [bob["id"]]
    assert await found(updatedSince="2999-01-01T00:00:00Z") == []
    naive = await app_client.get(f"{base}/leads", params={"updatedSince": "2026-01-01T00:00:00"})
    assert naive.status_code == 422


async def test_patch(app_client: httpx.AsyncClient, base: str) -> None:
    """A change leaves what it does not name; custom fields are changed one by one; optional fields can be cleared."""
    made = await add(
        app_client, base, "ann@example.com", firstName="Ann", segment="SMB", customFields={"a": "1", "b": "2"}
    )
    change = {"email": "Ann2@example.com", "segment": None, "customFields": {"a": None, "c": "3"}}
    changed = (await app_client.patch(f"{base}/leads/{made['id']}", json=change)).json()
    assert changed["email"] == "ann2@example.com"
    assert (changed["firstName"], changed["segment"]) == ("Ann", None)
    assert changed["customFields"] == {"b": "2", "c": "3"}
    assert (await app_client.patch(f"{base}/leads/{made['id']}", json={})).json() == changed
    await add(app_client, base, "bob@example.com")
    taken = await app_client.patch(f"{base}/leads/{made['id']}", json={"email": "BOB@example.com"})
    assert (taken.status_code, taken.json()["code"]) == (409, "already_exists")
    missing = await app_client.patch(f"{base}/leads/{made['id']}", json={"listId": NOBODY})
    assert missing.status_code == 404


async def test_qualify_needs_a_reply(app_client: httpx.AsyncClient, base: str) -> None:
    """A lead that never replied cannot be qualified, and the answer says from where it can be."""
    made = await add(app_client, base, "ann@example.com")
    refused = await app_client.post(f"{base}/leads/{made['id']}/qualify")
    assert (refused.status_code, refused.json()["code"]) == (409, "invalid_transition")
    assert "Replied" in refused.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {"email": "ann"},
        {"email": "ann@localhost"},
        {"email": "ann@example.com", "firstName": "a\x00b"},
        {"email": "ann@example.com", "firstName": "x" * 201},
        {"email": "ann@example.com", "segment": "Huge"},
        {"email": "ann@example.com", "timezone": "Mars/Base"},
        {"email": "ann@example.com", "customFields": {"a": {"nested": 1}}},
        {"email": "ann@example.com", "customFields": {"a\x00": "1"}},
        {"email": "ann@example.com", "status": "Qualified"},
        {"email": None},
    ],
)
async def test_bad_input(app_client: httpx.AsyncClient, base: str, body: dict[str, Any]) -> None:
    """What is no lead is refused with the field named, and nothing is written."""
    refused = await app_client.post(f"{base}/leads", json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"]
    assert (await app_client.get(f"{base}/leads")).json()["items"] == []


async def test_not_there(app_client: httpx.AsyncClient, base: str) -> None:
    """What does not exist, here or at all, is not found, in every place that takes an id."""
    asked = [
        await app_client.get(f"{base}/leads/{NOBODY}"),
        await app_client.patch(f"{base}/leads/{NOBODY}", json={"firstName": "x"}),
        await app_client.delete(f"{base}/leads/{NOBODY}"),
        await app_client.post(f"{base}/leads/{NOBODY}/qualify"),
        await app_client.get(f"{base}/lead-lists/{NOBODY}"),
        await app_client.post(f"{base}/leads", json={"email": "a@example.com", "listId": NOBODY}),
        await app_client.get(f"/api/workspaces/{NOBODY}/leads"),
    ]
    assert {answer.status_code for answer in asked} == {404}

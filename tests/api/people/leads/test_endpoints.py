from typing import Any

import httpx
import pytest

from tests.api.lead_requests import UNKNOWN_ID, add, add_list, count_of, leads_of

pytestmark = pytest.mark.anyio


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
    plus = await add(app_client, base, "carl+b2b@example.com")
    # An unescaped plus in a query string is read as a blank.
    assert await found(q="carl b2b") == await found(q="carl+b2b") == [plus["id"]]
    assert (await app_client.delete(f"{base}/leads/{plus['id']}")).status_code == 204
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
    missing = await app_client.patch(f"{base}/leads/{made['id']}", json={"listId": UNKNOWN_ID})
    assert missing.status_code == 404


async def test_custom_fields_have_a_limit(app_client: httpx.AsyncClient, base: str) -> None:
    """Changes cannot pile up more custom fields than a new lead may have; what is refused changes nothing."""
    made = await add(app_client, base, "ann@example.com", customFields={f"a{number}": number for number in range(150)})
    path = f"{base}/leads/{made['id']}"
    refused = await app_client.patch(path, json={"customFields": {f"b{number}": number for number in range(51)}})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert (await app_client.get(path)).json() == made
    gone = {f"a{number}": None for number in range(1)}
    taken = await app_client.patch(path, json={"customFields": gone | {f"b{number}": True for number in range(51)}})
    assert len(taken.json()["customFields"]) == 200


async def test_change_of_what_was_seen(app_client: httpx.AsyncClient, base: str) -> None:
    """With If-Match a lead is changed or deleted only as it was seen, by the ETag of a GET or of an earlier change."""
    made = await add(app_client, base, "ann@example.com")
    path = f"{base}/leads/{made['id']}"
    seen = {"If-Match": (await app_client.get(path)).headers["ETag"]}
    changed = await app_client.patch(path, json={"firstName": "Ann"}, headers=seen)
    assert changed.status_code == 200
    for late in (
        await app_client.patch(path, json={"firstName": "Eve"}, headers=seen),
        await app_client.delete(path, headers=seen),
    ):
        assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    assert (await app_client.get(path)).json() == changed.json()
    fresh = {"If-Match": (await app_client.get(path)).headers["ETag"]}
    assert (await app_client.delete(path, headers=fresh)).status_code == 204


async def test_a_suppressed_lead_says_so(app_client: httpx.AsyncClient, base: str) -> None:
    """A suppressed address may be a lead, which says that it is suppressed; an address with the same end is not."""
    for body in ({"email": "ann@example.com"}, {"domain": "example.org"}):
        assert (await app_client.post(f"{base}/suppressions", json=body)).status_code == 201
    suppressed = {
        email: (await add(app_client, base, email))["suppressed"]
        for email in ("ann@example.com", "joann@example.com", "bob@example.org", "bob@sub.example.org")
    }
    assert list(suppressed.values()) == [True, False, True, False]
    for lead in await leads_of(app_client, base):
        shown = (await app_client.get(f"{base}/leads/{lead['id']}")).json()
        assert shown == {**lead, "suppressed": suppressed[lead["email"]]}


@pytest.mark.parametrize("field", ["createdAt", "updatedAt", "email", "lastName", "company"])
async def test_orders(app_client: httpx.AsyncClient, base: str, field: str) -> None:
    """Each order holds over all pages in both directions, also where many leads have the same value."""
    for number in range(12):
        names = {"lastName": f"L{number % 3}", "company": f"C{number % 2}"}
        await add(app_client, base, f"p{(number * 7) % 12:02}@example.com", **names)
    first = (await leads_of(app_client, base))[5]
    assert (await app_client.patch(f"{base}/leads/{first['id']}", json={"role": "CTO"})).status_code == 200
    everyone = sorted(await leads_of(app_client, base), key=lambda lead: (lead[field], lead["id"]))
    assert await _paged(app_client, f"{base}/leads", sort=field) == everyone
    assert await _paged(app_client, f"{base}/leads", sort=f"-{field}") == everyone[::-1]
    assert (await app_client.get(f"{base}/leads", params={"sort": f"{field}s"})).status_code == 422


async def _paged(client: httpx.AsyncClient, path: str, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"nextCursor": None}
    while not found or page["nextCursor"]:
        cursor = {"cursor": page["nextCursor"]} if page["nextCursor"] else {}
        page = (await client.get(path, params={"limit": "5", **query, **cursor})).json()
        found += page["items"]
    return found


async def test_restore(app_client: httpx.AsyncClient, base: str) -> None:
    """A deleted lead comes back as it was, counted in its list again; a second restore changes nothing."""
    list_id = await add_list(app_client, base)
    made = await add(app_client, base, "ann@example.com", firstName="Ann", listId=list_id)
    assert (await app_client.delete(f"{base}/leads/{made['id']}")).status_code == 204
    assert await count_of(app_client, base, list_id) == 0
    restored, again = [await app_client.post(f"{base}/leads/{made['id']}/restore") for _ in range(2)]
    assert restored.status_code == again.status_code == 200
    assert restored.json() == {**made, "updatedAt": restored.json()["updatedAt"]}
    assert again.json() == restored.json()
    assert await count_of(app_client, base, list_id) == 1
    assert (await app_client.get(f"{base}/leads/{made['id']}")).json() == restored.json()


async def test_restore_meets_what_has_changed(app_client: httpx.AsyncClient, base: str) -> None:
    """A lead whose address is another's by now stays deleted; one whose list is gone comes back without it."""
    list_id = await add_list(app_client, base)
    made = await add(app_client, base, "ann@example.com", listId=list_id)
    assert (await app_client.delete(f"{base}/leads/{made['id']}")).status_code == 204
    other = await add(app_client, base, "ann@example.com")
    taken = await app_client.post(f"{base}/leads/{made['id']}/restore")
    assert (taken.status_code, taken.json()["code"]) == (409, "already_exists")
    assert [lead["id"] for lead in await leads_of(app_client, base)] == [other["id"]]
    assert (await app_client.delete(f"{base}/leads/{other['id']}")).status_code == 204
    assert (await app_client.delete(f"{base}/lead-lists/{list_id}")).status_code == 204
    restored = await app_client.post(f"{base}/leads/{made['id']}/restore")
    assert (restored.status_code, restored.json()["listId"]) == (200, None)


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
        {"email": "ann@example.com", "customFields": {"a": 2**60}},
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
    answers = [
        await app_client.get(f"{base}/leads/{UNKNOWN_ID}"),
        await app_client.patch(f"{base}/leads/{UNKNOWN_ID}", json={"firstName": "x"}),
        await app_client.delete(f"{base}/leads/{UNKNOWN_ID}"),
        await app_client.post(f"{base}/leads/{UNKNOWN_ID}/qualify"),
        await app_client.post(f"{base}/leads/{UNKNOWN_ID}/restore"),
        await app_client.post(f"{base}/leads/{UNKNOWN_ID}/unsubscribe"),
        await app_client.post(f"{base}/leads/{UNKNOWN_ID}/erase"),
        await app_client.get(f"{base}/leads/{UNKNOWN_ID}/timeline"),
        await app_client.post(f"{base}/leads", json={"email": "a@example.com", "listId": UNKNOWN_ID}),
        await app_client.get(f"/api/workspaces/{UNKNOWN_ID}/leads"),
    ]
    assert {answer.status_code for answer in answers} == {404}

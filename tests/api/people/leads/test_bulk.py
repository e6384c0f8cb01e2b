from typing import Any

import httpx
import pytest

from tests.api.lead_requests import UNKNOWN_ID, add, add_list, count_of, leads_of

pytestmark = pytest.mark.anyio


async def bulk(client: httpx.AsyncClient, base: str, *rows: Any, **policy: str) -> list[dict[str, Any]]:
    """Add rows and return what became of each."""
    response = await client.post(f"{base}/leads/bulk", json={"leads": rows, **policy})
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["results"]
    assert [one["index"] for one in results] == list(range(len(rows)))
    return results


async def test_each_row_answers_for_itself(app_client: httpx.AsyncClient, base: str) -> None:
    """Good rows are written, bad ones are named with what is wrong, in the order they were given."""
    known = await add(app_client, base, "ann@example.com", firstName="Ann")
    list_id = await add_list(app_client, base)
    results = await bulk(
        app_client,
        base,
        {"email": "Bob@Example.com", "listId": list_id, "customFields": {"VIP": True}},
        {"email": "no address"},
        {"email": "ANN@example.com", "firstName": "Eve"},
        {"email": "eve@example.com", "listId": UNKNOWN_ID},
        "no object",
        {"email": "kim@example.com", "segment": "Huge", "firstName": 5},
        {"email": "bob@example.com", "role": "CTO"},
    )
    statuses = [result["status"] for result in results]
    assert statuses == ["created", "invalid", "exists", "invalid", "invalid", "invalid", "exists"]
    assert results[2]["leadId"] == known["id"]
    assert results[0]["leadId"] == results[6]["leadId"]
    places = [[problem["location"] for problem in one["errors"]] for one in results]
    assert (places[1], places[3], places[5]) == ([["email"]], [["listId"]], [["firstName"], ["segment"]])
    bob, ann = await leads_of(app_client, base)
    assert (bob["email"], bob["listId"], bob["customFields"], bob["role"]) == (
        "bob@example.com",
        list_id,
        {"VIP": True},
        "",
    )
    assert ann["firstName"] == "Ann"
    assert await count_of(app_client, base, list_id) == 1


@pytest.mark.parametrize(
    ("policy", "status", "company", "role"),
    [("skip", "exists", "Acme", ""), ("fill", "updated", "Acme", "CTO"), ("overwrite", "updated", "Other", "CTO")],
)
async def test_what_exists(
    app_client: httpx.AsyncClient, base: str, policy: str, status: str, company: str, role: str
) -> None:
    """A known address is skipped, filled or overwritten, as the caller says; lists are counted as leads move."""
    came_from, goes_to = [await add_list(app_client, base, name) for name in ("A", "B")]
    made = await add(app_client, base, "ann@example.com", company="Acme", listId=came_from)
    row = {"email": "ann@example.com", "company": "Other", "role": "CTO", "listId": goes_to}
    (result,) = await bulk(app_client, base, row, onExisting=policy)
    assert (result["status"], result["leadId"]) == (status, made["id"])
    (lead,) = await leads_of(app_client, base)
    assert (lead["company"], lead["role"]) == (company, role)
    moved = policy == "overwrite"
    assert lead["listId"] == (goes_to if moved else came_from)
    assert [await count_of(app_client, base, one) for one in (came_from, goes_to)] == [not moved, moved]
    again = "exists" if policy == "skip" else "unchanged"
    assert [one["status"] for one in await bulk(app_client, base, row, onExisting=policy)] == [again]
    assert await leads_of(app_client, base) == [lead]


async def test_a_thousand(app_client: httpx.AsyncClient, base: str) -> None:
    """A call takes a thousand rows and counts them; one row more is refused as a whole, and no row at all is fine."""
    list_id = await add_list(app_client, base)
    rows = [{"email": f"p{number}@example.com", "listId": list_id} for number in range(1001)]
    assert {one["status"] for one in await bulk(app_client, base, *rows[:1000])} == {"created"}
    assert await count_of(app_client, base, list_id) == 1000
    refused = await app_client.post(f"{base}/leads/bulk", json={"leads": rows})
    assert (refused.status_code, refused.json()["errors"][0]["location"]) == (422, ["body", "leads"])
    assert await bulk(app_client, base) == []
    malformed: list[dict[str, Any]] = [{"leads": {}}, {"leads": rows[:1], "onExisting": "merge"}, {}]
    for body in malformed:
        assert (await app_client.post(f"{base}/leads/bulk", json=body)).status_code == 422


async def test_the_contract_says_what_a_row_is(app_client: httpx.AsyncClient) -> None:
    """A row is read leniently and described exactly: it is what a single lead is made of."""
    schemas = (await app_client.get("/openapi.json")).json()["components"]["schemas"]
    rows = schemas["BulkLeadsIn"]["properties"]["leads"]
    assert rows["items"] == {"$ref": "#/components/schemas/LeadIn"}
    assert rows["maxItems"] == 1000

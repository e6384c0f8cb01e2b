import httpx
import pytest

from tests.api.conftest import RunJobs
from tests.api.lead_requests import UNKNOWN_ID, add, add_list, count_of, leads_of

pytestmark = pytest.mark.anyio


async def test_rename(app_client: httpx.AsyncClient, base: str) -> None:
    """A list gets another name, with If-Match only as it was seen: a lead that joins makes it another."""
    list_id = await add_list(app_client, base)
    path = f"{base}/lead-lists/{list_id}"
    seen = {"If-Match": (await app_client.get(path)).headers["ETag"]}
    renamed = await app_client.patch(path, json={"name": "Customers"}, headers=seen)
    assert (renamed.status_code, renamed.json()["name"]) == (200, "Customers")
    late = await app_client.patch(path, json={"name": "Prospects"}, headers=seen)
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    assert (await app_client.get(path)).json() == renamed.json()
    joined = {"If-Match": renamed.headers.get("ETag") or (await app_client.get(path)).headers["ETag"]}
    await add(app_client, base, "ann@example.com", listId=list_id)
    assert (await app_client.delete(path, headers=joined)).status_code == 412


async def test_delete(app_client: httpx.AsyncClient, base: str) -> None:
    """The leads of a deleted list stay, without a list; the others keep theirs, and no lead can join it any more."""
    gone, kept = [await add_list(app_client, base, name) for name in ("A", "B")]
    for number in range(6):
        await add(app_client, base, f"p{number}@example.com", listId=(gone, kept)[number % 2])
    assert (await app_client.delete(f"{base}/lead-lists/{gone}")).status_code == 204
    lists = [lead["listId"] for lead in await leads_of(app_client, base)]
    assert (lists.count(None), lists.count(kept)) == (3, 3)
    assert await count_of(app_client, base, kept) == 3
    assert [one["id"] for one in (await app_client.get(f"{base}/lead-lists")).json()["items"]] == [kept]
    for answer in (
        await app_client.get(f"{base}/lead-lists/{gone}"),
        await app_client.delete(f"{base}/lead-lists/{gone}"),
        await app_client.post(f"{base}/leads", json={"email": "new@example.com", "listId": gone}),
    ):
        assert answer.status_code == 404
    assert len(await leads_of(app_client, base)) == 6


async def test_not_there(app_client: httpx.AsyncClient, base: str) -> None:
    """A list that does not exist is not found, whatever is answers of it; a name that is none is refused."""
    path = f"{base}/lead-lists/{UNKNOWN_ID}"
    answers = [
        await app_client.get(path),
        await app_client.patch(path, json={"name": "x"}),
        await app_client.delete(path),
    ]
    assert [answer.status_code for answer in answers] == [404] * 3
    for name in ("", None, 5, "x" * 201):
        assert (await app_client.post(f"{base}/lead-lists", json={"name": name})).status_code == 422


async def test_an_import_finds_its_list_deleted(app_client: httpx.AsyncClient, base: str, run_jobs: RunJobs) -> None:
    """A file whose list is deleted before its job runs makes leads without a list."""
    files = {"file": ("people.csv", b"Email\nann@example.com\nbob@example.com\n")}
    made = (await app_client.post(f"{base}/imports", files=files)).json()
    started = await app_client.post(f"{base}/imports/{made['id']}/commit")
    assert started.status_code == 202
    assert (await app_client.delete(f"{base}/lead-lists/{started.json()['listId']}")).status_code == 204
    await run_jobs()
    assert (await app_client.get(f"{base}/imports/{made['id']}")).json()["newCount"] == 2
    assert [lead["listId"] for lead in await leads_of(app_client, base)] == [None, None]

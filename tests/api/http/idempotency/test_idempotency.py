import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from database.engine import create_pool
from database.roles import owner_url

pytestmark = pytest.mark.anyio

Headers = dict[str, str]


def key(value: str = "k-1") -> Headers:
    """Return the header that names a request."""
    return {"Idempotency-Key": value}


async def lead_count(client: httpx.AsyncClient, workspace: str) -> int:
    """Return how many leads there are."""
    answer = await client.get(f"/api/workspaces/{workspace}/leads", params={"limit": 500})
    return len(answer.json()["items"])


async def test_the_same_request_is_answered_again(app_client: httpx.AsyncClient, workspace: str) -> None:
    """A repeated POST gets the first answer, status, body and tag alike, says so, and does nothing."""
    leads = f"/api/workspaces/{workspace}/leads"
    body = {"email": "a@lead.example"}
    first = await app_client.post(leads, json=body, headers=key())
    again = await app_client.post(leads, json=body, headers=key())

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["ETag"] == first.headers["ETag"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await lead_count(app_client, workspace) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [("leads", {"email": "b@lead.example"}), ("lead-lists", {"name": "a@lead.example"})],
    ids=["another body", "another path"],
)
async def test_another_request_under_the_key_is_refused(
    app_client: httpx.AsyncClient, workspace: str, path: str, body: dict[str, Any]
) -> None:
    """The key of one request is not another's: 409, and nothing is done."""
    under = f"/api/workspaces/{workspace}"
    await app_client.post(f"{under}/leads", json={"email": "a@lead.example"}, headers=key())
    other = await app_client.post(f"{under}/{path}", json=body, headers=key())

    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert await lead_count(app_client, workspace) == 1
    assert (await app_client.get(f"{under}/lead-lists")).json()["items"] == []


async def test_two_at_once_are_one(app_client: httpx.AsyncClient, workspace: str) -> None:
    """Of identical requests at the same moment one does the work, and all get its answer."""
    leads = f"/api/workspaces/{workspace}/lead-lists"
    posts = (app_client.post(leads, json={"name": "Fair"}, headers=key()) for _ in range(8))
    answers = await asyncio.gather(*posts)

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert len((await app_client.get(leads)).json()["items"]) == 1


async def test_what_failed_may_be_sent_again(app_client: httpx.AsyncClient, workspace: str) -> None:
    """A refused request leaves nothing under its key: it may be mended and sent again."""
    leads = f"/api/workspaces/{workspace}/leads"
    refused = await app_client.post(leads, json={"email": "no address"}, headers=key())
    mended = await app_client.post(leads, json={"email": "a@lead.example"}, headers=key())
    assert (refused.status_code, mended.status_code) == (422, 201)


async def test_keys_are_ones_own(app_client: httpx.AsyncClient, workspace: str) -> None:
    """Another user's request under the same key is a request of its own."""
    made = await app_client.post("/api/users", json={"email": "bob@acme.example", "name": "Bob", "role": "admin"})
    token = (await app_client.post("/api/api-keys", json={"name": "b", "userId": made.json()["id"]})).json()["token"]
    lists = f"/api/workspaces/{workspace}/lead-lists"
    await app_client.post(lists, json={"name": "Ann's"}, headers=key())
    other = await app_client.post(lists, json={"name": "Bob's"}, headers={**key(), "Authorization": f"Bearer {token}"})
    assert (other.status_code, other.json()["name"]) == (201, "Bob's")


async def test_an_upload_is_known_by_its_parts(app_client: httpx.AsyncClient, workspace: str) -> None:
    """A file sent again, in a form of another boundary, is the same request; another file is not."""
    imports = f"/api/workspaces/{workspace}/imports"

    async def upload(content: bytes) -> httpx.Response:
        return await app_client.post(imports, files={"file": ("people.csv", content)}, headers=key())

    first, again = await upload(b"Email\na@lead.example\n"), await upload(b"Email\na@lead.example\n")
    other = await upload(b"Email\nb@lead.example\n")

    assert (first.status_code, again.status_code, other.status_code) == (202, 202, 409)
    assert again.json()["id"] == first.json()["id"]
    assert len((await app_client.get(imports)).json()["items"]) == 1


async def test_json_is_known_by_its_values(app_client: httpx.AsyncClient, workspace: str) -> None:
    """White space and the order of keys make no other request, at any depth; the order of a list does."""
    path = f"/api/workspaces/{workspace}/sequences"
    bodies = [
        '{"name":"A","autoApprove":true}',
        ' { "autoApprove" : true, "name" : "\\u0041" } ',
        '{"name":"A","autoApprove":false}',
    ]
    headers = {**key(), "Content-Type": "application/json"}
    answers = [await app_client.post(path, content=body, headers=headers) for body in bodies]
    assert [answer.status_code for answer in answers] == [201, 201, 409]
    assert answers[0].json() == answers[1].json()
    leads = f"/api/workspaces/{workspace}/leads/bulk"
    rows = [{"email": "a@lead.example", "firstName": "A"}, {"firstName": "B", "email": "b@lead.example"}]
    mirrored = [dict(reversed(row.items())) for row in rows]
    answers = [
        await app_client.post(leads, json={"leads": body}, headers=key("k-2"))
        for body in (rows, mirrored, list(reversed(rows)))
    ]
    assert [answer.is_success for answer in answers] == [True, True, False]
    assert answers[2].status_code == 409


async def test_parts_of_a_form_are_known_by_their_names(app_client: httpx.AsyncClient, workspace: str) -> None:
    """The order of parts with different names makes no other request; the value of a part does."""
    imports = f"/api/workspaces/{workspace}/imports"

    async def upload(*parts: tuple[str, str]) -> int:
        files = [
            ("file" if name == "file" else name, ("p.csv" if name == "file" else None, value)) for name, value in parts
        ]
        return (await app_client.post(imports, files=files, headers=key())).status_code

    file, name = ("file", "Email\na@lead.example\n"), ("listName", "Fair")
    assert [await upload(file, name), await upload(name, file), await upload(file, ("listName", "Other"))] == [
        202,
        202,
        409,
    ]


async def test_answers_are_kept_for_a_day_and_unreadable(
    app_client: httpx.AsyncClient, workspace: str, database_url: str
) -> None:
    """The database does not show what was answered; for a day it is; then the key is free, and old answers are gone."""
    lists = f"/api/workspaces/{workspace}/lead-lists"
    first = (await app_client.post(lists, json={"name": "Fair"}, headers=key())).json()
    await app_client.post(lists, json={"name": "Old"}, headers=key("k-old"))
    owner = create_pool(owner_url(database_url), size=1)
    try:
        async with owner.begin() as connection:
            kept: Sequence[str] = (
                (await connection.execute(text("SELECT encrypted_body FROM app.idempotency_keys"))).scalars().all()
            )
            assert len(kept) == 2
            assert not any("Fair" in body or first["id"] in body for body in kept)
            age = text("UPDATE app.idempotency_keys SET created_at = created_at - :age")
            await connection.execute(age, {"age": timedelta(hours=23)})
        assert (await app_client.post(lists, json={"name": "Fair"}, headers=key())).json() == first
        async with owner.begin() as connection:
            await connection.execute(age, {"age": timedelta(hours=1, seconds=1)})
        again = (await app_client.post(lists, json={"name": "Fair"}, headers=key())).json()
        async with owner.begin() as connection:
            left: Sequence[str] = (
                (await connection.execute(text("SELECT key FROM app.idempotency_keys"))).scalars().all()
            )
    finally:
        await owner.dispose()
    assert UUID(again["id"]) != UUID(first["id"])
    assert left == ["k-1"]


async def test_two_keys_are_refused(app_client: httpx.AsyncClient, workspace: str) -> None:
    """Of two Idempotency-Key headers none is used, even if they are equal."""
    twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    path = f"/api/workspaces/{workspace}/lead-lists"
    response = await app_client.post(path, json={"name": "A"}, headers=twice)
    assert (response.status_code, response.json()["errors"][0]["location"]) == (422, ["header", "Idempotency-Key"])
    assert (await app_client.get(path)).json()["items"] == []


@pytest.mark.parametrize("bad", ["", "x" * 256, "with space"])
async def test_a_key_that_is_none_is_named(app_client: httpx.AsyncClient, workspace: str, bad: str) -> None:
    """A key that cannot be one is a 422 that points at the header."""
    response = await app_client.post(f"/api/workspaces/{workspace}/lead-lists", json={"name": "A"}, headers=key(bad))
    assert (response.status_code, response.json()["errors"][0]["location"]) == (422, ["header", "Idempotency-Key"])

import httpx
import pytest
from fastapi import FastAPI

from database.roles import connect, owner_url
from tests.api.accounts.conftest import Accounts, Person
from tests.api.waiting import until_waiting

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer sm_wrong"}, {"Authorization": "Basic YTpi"}])
async def test_without_a_key_nothing_is_answered(app: FastAPI, headers: dict[str, str]) -> None:
    """A missing, wrong or foreign credential is a 401 problem that names the way."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as anonymous:
        response = await anonymous.get("/api/workspaces", headers=headers)

    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
    assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_a_key_is_shown_once(accounts: Accounts, member: Person, database_url: str) -> None:
    """The answer that makes a key holds its token and may not be kept; nothing else ever does, nor the database."""
    made = await member.client.post("/api/api-keys", json={"name": "laptop"})
    token = made.json()["token"]

    assert made.status_code == 201
    assert made.headers["Cache-Control"] == "no-store"
    assert (made.json()["userId"], made.json()["name"], made.json()["revokedAt"]) == (member.id, "laptop", None)
    assert token.startswith(made.json()["prefix"])
    assert len(token) > 40
    shown = await member.client.get(f"/api/api-keys/{made.json()['id']}")
    listed = await member.client.get("/api/api-keys")
    assert token not in shown.text + listed.text
    with connect(owner_url(database_url)) as owner:
        stored = owner.execute("SELECT row_to_json(k)::text FROM app.api_keys k").fetchall()
    assert not any(token in row for (row,) in stored)
    assert (await (await accounts.caller(token)).get("/api/me")).json()["apiKeyId"] == made.json()["id"]


async def test_a_key_remembers_its_last_use(accounts: Accounts, admin: Person) -> None:
    """A key that was never used says so, and one that was says when."""
    made = (await admin.client.post("/api/api-keys", json={"name": "laptop"})).json()
    unused = (await admin.client.get(f"/api/api-keys/{made['id']}")).json()
    await (await accounts.caller(made["token"])).get("/api/me")
    used = (await admin.client.get(f"/api/api-keys/{made['id']}")).json()

    assert unused["lastUsedAt"] is None
    assert used["lastUsedAt"] >= made["createdAt"]


async def test_a_key_made_again_under_its_idempotency_key_is_the_same(admin: Person) -> None:
    """Who lost the answer gets the token again under the same Idempotency-Key, and there is one key."""
    headers = {"Idempotency-Key": "laptop-1"}
    first = await admin.client.post("/api/api-keys", json={"name": "laptop"}, headers=headers)
    again = await admin.client.post("/api/api-keys", json={"name": "laptop"}, headers=headers)

    assert again.json() == first.json()
    assert again.headers["Cache-Control"] == "no-store"
    assert len((await admin.client.get("/api/api-keys")).json()["items"]) == 2


async def test_members_see_their_own_keys(admin: Person, member: Person) -> None:
    """An admin sees all keys of the account, by user if they like; a member sees and revokes their own only."""
    everybody = (await admin.client.get("/api/api-keys")).json()["items"]
    by_user = (await admin.client.get("/api/api-keys", params={"userId": member.id})).json()["items"]
    own = (await member.client.get("/api/api-keys")).json()["items"]
    others = (await member.client.get("/api/api-keys", params={"userId": admin.id})).json()["items"]

    assert [one["id"] for one in everybody] == [member.key_id, admin.key_id]
    assert [one["id"] for one in by_user] == [one["id"] for one in own] == [member.key_id]
    assert others == []
    assert (await member.client.get(f"/api/api-keys/{admin.key_id}")).status_code == 404
    assert (await member.client.delete(f"/api/api-keys/{admin.key_id}")).status_code == 404
    assert (await admin.client.get("/api/me")).status_code == 200


async def test_only_an_admin_makes_keys_for_others(admin: Person, member: Person, stranger: Person) -> None:
    """A member is refused, and a user of another account does not exist, whatever the foreign key would allow."""
    for_other = await member.client.post("/api/api-keys", json={"name": "x", "userId": admin.id})
    for_self = await member.client.post("/api/api-keys", json={"name": "x", "userId": member.id})
    for_stranger = await admin.client.post("/api/api-keys", json={"name": "x", "userId": stranger.id})

    assert (for_other.status_code, for_self.status_code, for_stranger.status_code) == (403, 201, 404)


async def test_a_revoked_key_is_refused_at_once(admin: Person, member: Person) -> None:
    """The next request with the key is a 401; the key stays listed with the time, and revoking it again is fine."""
    path = f"/api/api-keys/{member.key_id}"
    assert (await admin.client.delete(path)).status_code == 204
    refused = await member.client.get("/api/me")
    first = (await admin.client.get(path)).json()["revokedAt"]

    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
    assert (await admin.client.delete(path)).status_code == 204
    assert first is not None
    assert (await admin.client.get(path)).json()["revokedAt"] == first


async def test_a_key_can_revoke_itself(member: Person) -> None:
    """Who fears that a key has leaked ends it with the key itself."""
    assert (await member.client.delete(f"/api/api-keys/{member.key_id}")).status_code == 204
    assert (await member.client.delete(f"/api/api-keys/{member.key_id}")).status_code == 401


async def test_no_key_is_made_for_a_user_who_goes_meanwhile(admin: Person, member: Person, database_url: str) -> None:
    """Creating a key for a user who is being deleted waits for the deletion; then the user is not found."""
    body = {"name": "late", "userId": member.id}
    with connect(owner_url(database_url)) as owner, connect(owner_url(database_url)) as watcher:
        with owner.transaction():
            owner.execute("DELETE FROM app.users WHERE id = %s", [member.id])
            making = await until_waiting(watcher, admin.client.post("/api/api-keys", json=body))
        answer = await making

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

import asyncio
from typing import Any

import pytest

from tests.api.accounts.conftest import Accounts, Person

pytestmark = pytest.mark.anyio


async def test_a_caller_learns_who_they_are(admin: Person, member: Person) -> None:
    """The answer names account, user, role, and the key the caller came in with."""
    first, second = (await admin.client.get("/api/me")).json(), (await member.client.get("/api/me")).json()

    assert (first["account"]["name"], first["user"]["email"], first["user"]["role"]) == (
        "Acme",
        "ann@acme.example",
        "admin",
    )
    assert (second["account"], second["user"]["role"]) == (first["account"], "member")
    assert (second["authenticatedBy"], second["apiKeyId"]) == ("api_key", member.key_id)


async def test_an_account_is_renamed_by_who_has_seen_it(admin: Person) -> None:
    """The name changes for a caller whose tag is current, and a second one with the old tag is told to look again."""
    seen = await admin.client.get("/api/account")
    headers = {"If-Match": seen.headers["ETag"]}
    first = await admin.client.patch("/api/account", json={"name": "Acme Ltd"}, headers=headers)
    second = await admin.client.patch("/api/account", json={"name": "Other"}, headers=headers)

    assert (first.status_code, first.json()["name"]) == (200, "Acme Ltd")
    assert (second.status_code, second.json()["code"]) == (412, "precondition_failed")
    assert (await admin.client.get("/api/me")).json()["account"]["name"] == "Acme Ltd"


async def test_users_are_listed_newest_first(admin: Person, member: Person, stranger: Person) -> None:
    """A member sees all users of the account, page by page, and none of another account."""
    first = (await member.client.get("/api/users", params={"limit": 1})).json()
    second = (await member.client.get("/api/users", params={"limit": 1, "cursor": first["nextCursor"]})).json()

    assert [one["id"] for one in (*first["items"], *second["items"])] == [member.id, admin.id]
    assert second["nextCursor"] is None
    assert (await member.client.get(f"/api/users/{admin.id}")).json()["role"] == "admin"


async def test_an_address_is_one_user_of_an_account(admin: Person, member: Person, stranger: Person) -> None:
    """The same address in whatever case is refused within an account, and free in another one."""
    body = {"email": "BO@acme.example", "name": "Bo"}
    taken = await admin.client.post("/api/users", json=body)
    free = await stranger.client.post("/api/users", json=body)

    assert (taken.status_code, taken.json()["code"]) == (409, "already_exists")
    assert free.status_code == 201


async def test_of_many_who_add_the_same_user_one_does(admin: Person) -> None:
    """Concurrent additions of one address make one user and clear answers for the rest."""
    body = {"email": "new@acme.example", "name": "New"}
    answers = await asyncio.gather(*(admin.client.post("/api/users", json=body) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert len((await admin.client.get("/api/users")).json()["items"]) == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "bo", "name": "Bo"}, "email"),
        ({"email": "bo@acme.example", "name": ""}, "name"),
        ({"email": "bo@acme.example", "name": 5}, "name"),
        ({"email": "bo@acme.example", "name": "Bo", "role": "owner"}, "role"),
        ({"email": "bo@acme.example", "name": "Bo", "accountId": "x"}, "accountId"),
        ({"name": "Bo"}, "email"),
    ],
)
async def test_a_malformed_user_is_named(admin: Person, body: dict[str, Any], field: str) -> None:
    """An invalid user is a 422 that names the field, and no user is added."""
    answer = await admin.client.post("/api/users", json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    assert field in answer.text
    assert len((await admin.client.get("/api/users")).json()["items"]) == 1


async def test_a_user_is_changed_by_who_has_seen_them(admin: Person, member: Person) -> None:
    """Name and role change for a current tag, what is left out stays, and an old tag is refused."""
    path = f"/api/users/{member.id}"
    headers = {"If-Match": (await admin.client.get(path)).headers["ETag"]}
    renamed = await admin.client.patch(path, json={"name": "Robert"}, headers=headers)
    stale = await admin.client.patch(path, json={"role": "admin"}, headers=headers)
    deleted = await admin.client.delete(path, headers=headers)
    unchanged = await admin.client.patch(path, json={})
    null = await admin.client.patch(path, json={"role": None})

    assert (renamed.json()["name"], renamed.json()["role"]) == ("Robert", "member")
    assert (stale.status_code, deleted.status_code) == (412, 412)
    assert unchanged.json() == renamed.json()
    assert null.status_code == 422
    promoted = await admin.client.patch(path, json={"role": "admin"}, headers={"If-Match": renamed.headers["ETag"]})
    assert promoted.json()["role"] == "admin"
    assert (await member.client.post("/api/users", json={"email": "c@acme.example", "name": "C"})).status_code == 201


async def test_the_last_admin_stays(admin: Person, member: Person) -> None:
    """Who alone is an admin is neither demoted nor deleted, and says so in a conflict."""
    path = f"/api/users/{admin.id}"
    demoted = await admin.client.patch(path, json={"role": "member"})
    deleted = await admin.client.delete(path)
    renamed = await admin.client.patch(path, json={"name": "Anna", "role": "admin"})

    assert [(one.status_code, one.json()["code"]) for one in (demoted, deleted)] == [(409, "conflict")] * 2
    assert "last admin" in demoted.json()["detail"]
    assert renamed.json()["name"] == "Anna"


async def test_a_user_cannot_delete_themselves(accounts: Accounts, admin: Person) -> None:
    """An admin cannot delete their own user, even with another admin left; the other admin can."""
    other = await accounts.add(admin, "cy@acme.example", "admin")

    assert (await other.client.delete(f"/api/users/{other.id}")).status_code == 409
    assert (await admin.client.delete(f"/api/users/{other.id}")).status_code == 204
    assert (await admin.client.delete(f"/api/users/{other.id}")).status_code == 404


async def test_an_account_always_has_an_admin(accounts: Accounts, admin: Person) -> None:
    """Admins who demote each other, or themselves, at the same moment never leave the account without one."""
    other = await accounts.add(admin, "cy@acme.example", "admin")
    for mine, theirs in ((other.id, admin.id), (admin.id, other.id)):
        answers = await asyncio.gather(
            admin.client.patch(f"/api/users/{mine}", json={"role": "member"}),
            other.client.patch(f"/api/users/{theirs}", json={"role": "member"}),
        )
        assert sorted(answer.status_code for answer in answers) in ([200, 403], [200, 409])
        users = (await admin.client.get("/api/users")).json()["items"]
        (left,) = [one["id"] for one in users if one["role"] == "admin"]
        by = admin if left == admin.id else other
        demoted = other if left == admin.id else admin
        assert (await by.client.patch(f"/api/users/{demoted.id}", json={"role": "admin"})).status_code == 200


async def test_admins_who_delete_each_other_leave_one(accounts: Accounts, admin: Person) -> None:
    """Of two mutual deletions at the same moment one happens, and the other is answered, not crashed."""
    other = await accounts.add(admin, "cy@acme.example", "admin")
    answers = await asyncio.gather(
        admin.client.delete(f"/api/users/{other.id}"), other.client.delete(f"/api/users/{admin.id}")
    )

    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 204
    assert statuses[1] in {401, 403, 503}
    left = [one for one in (admin, other) if (await one.client.get("/api/me")).status_code == 200]
    assert len(left) == 1


async def test_a_deleted_user_is_refused_at_once(admin: Person, member: Person) -> None:
    """The next request of a deleted user is a 401, and their keys are gone with them."""
    assert (await admin.client.delete(f"/api/users/{member.id}")).status_code == 204

    assert (await member.client.get("/api/me")).status_code == 401
    assert (await admin.client.get(f"/api/api-keys/{member.key_id}")).status_code == 404
    assert (await admin.client.get(f"/api/users/{member.id}")).status_code == 404

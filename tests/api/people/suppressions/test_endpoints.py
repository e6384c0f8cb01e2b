import asyncio

import httpx
import psycopg
import pytest

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(workspace: str) -> str:
    """Where the workspace's suppressions are."""
    return f"/api/workspaces/{workspace}/suppressions"


async def test_add_once(app_client: httpx.AsyncClient, url: str) -> None:
    """An address is suppressed once, whatever its case; the second call answers what stands."""
    body = {"email": "Ann@Example.com", "reason": "complaint", "source": "a call"}
    first = await app_client.post(url, json=body)
    second = await app_client.post(url, json={"email": "ann@example.com", "scope": "account"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    expected = {"kind": "email", "value": "ann@example.com", "reason": "complaint", "source": "a call"}
    assert first.json().items() >= expected.items()
    listed = (await app_client.get(url)).json()
    assert listed == {"items": [first.json()], "nextCursor": None}


async def test_own_word_outranks(app_client: httpx.AsyncClient, url: str) -> None:
    """What the person said replaces a reason we concluded ourselves, and is not replaced by one."""
    for reason in ("hard_bounce", "unsubscribed", "manual"):
        body = {"email": "ann@example.com", "reason": reason, "scope": "account"}
        stands = await app_client.post(url, json=body)
    assert stands.json()["reason"] == "unsubscribed"


async def test_domain(app_client: httpx.AsyncClient, url: str) -> None:
    """A domain may be written with or without its @, and is one entry of its own kind."""
    first = await app_client.post(url, json={"domain": "Example.COM"})
    second = await app_client.post(url, json={"domain": "@example.com"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["value"] == "@example.com"
    assert first.json()["reason"] == first.json()["kind"] == "domain"


async def test_find(app_client: httpx.AsyncClient, url: str) -> None:
    """The list can be asked for one address or one reason, and goes on by cursor."""
    for number in range(3):
        await app_client.post(url, json={"email": f"p{number}@example.com", "reason": "complaint"})
    await app_client.post(url, json={"domain": "example.org"})
    found = (await app_client.get(url, params={"value": " P1@example.com "})).json()["items"]
    assert [one["value"] for one in found] == ["p1@example.com"]
    assert len((await app_client.get(url, params={"reason": "complaint"})).json()["items"]) == 3
    for kind, number in (("email", 3), ("domain", 1)):
        assert len((await app_client.get(url, params={"kind": kind})).json()["items"]) == number
    assert (await app_client.get(url, params={"kind": "person"})).status_code == 422
    first = (await app_client.get(url, params={"limit": 3})).json()
    rest = (await app_client.get(url, params={"limit": 3, "cursor": first["nextCursor"]})).json()
    assert [one["value"] for one in first["items"] + rest["items"]] == [
        "@example.org",
        "p2@example.com",
        "p1@example.com",
        "p0@example.com",
    ]


async def test_remove(app_client: httpx.AsyncClient, url: str, database_url: str) -> None:
    """A suppression is removed for a reason, and who removed it and why is on record; without a reason it stays."""
    added = (await app_client.post(url, json={"email": "ann@example.com", "source": "a call"})).json()
    assert (await app_client.delete(f"{url}/{added['id']}")).status_code == 422
    assert (await app_client.delete(f"{url}/{added['id']}", params={"reason": ""})).status_code == 422
    assert (await app_client.get(f"{url}/{added['id']}")).json() == added

    gone = await app_client.delete(f"{url}/{added['id']}", params={"reason": "typed by mistake"})

    assert gone.status_code == 204
    assert (await app_client.get(url)).json()["items"] == []
    assert (await app_client.get(f"{url}/{added['id']}")).status_code == 404
    again = await app_client.delete(f"{url}/{added['id']}", params={"reason": "typed by mistake"})
    assert again.status_code == 404
    (record,) = (await app_client.get(f"{url}/removals")).json()["items"]
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        (me,) = await (await owner.execute("SELECT id::text FROM app.users")).fetchone() or ("",)
    assert (
        record.items()
        >= {
            "kind": "email",
            "value": "ann@example.com",
            "reason": "manual",
            "source": "a call",
            "suppressedAt": added["suppressedAt"],
            "removedBecause": "typed by mistake",
            "removedBy": me,
        }.items()
    )
    assert (await app_client.get(f"{url}/removals", params={"value": "Ann@example.com"})).json()["items"] == [record]
    assert (await app_client.get(f"{url}/removals", params={"value": "bob@example.com"})).json()["items"] == []


async def test_two_remove_it(app_client: httpx.AsyncClient, url: str) -> None:
    """Of two who remove the same suppression at once one does, the other finds nothing, and there is one record."""
    added = (await app_client.post(url, json={"domain": "example.com"})).json()
    removing = (app_client.delete(f"{url}/{added['id']}", params={"reason": "no more"}) for _ in range(2))
    assert sorted(answer.status_code for answer in await asyncio.gather(*removing)) == [204, 404]
    assert len((await app_client.get(f"{url}/removals")).json()["items"]) == 1


async def test_who_may_remove(app_client: httpx.AsyncClient, url: str, database_url: str) -> None:
    """A member removes what was concluded for the workspace; an admin also what counts for the account.

    What people said themselves, and what is left of an erased person, is for admins too.
    """
    own = {"scope": "workspace"}
    bodies: list[dict[str, str]] = [{"email": "manual@example.com"}, {"domain": "example.org"}]
    bodies += [{"email": "bounced@example.com", "reason": "hard_bounce", **own}]
    bodies += [{"email": f"{one}@example.com", "reason": one, **own} for one in ("unsubscribed", "complaint")]
    bodies += [{"email": "erased@example.com"}, {"email": "said@example.com", "reason": "unsubscribed"}]
    bodies += [{"email": "all@example.com", "scope": "account"}, {"domain": "all.example", "scope": "account"}]
    ids = [(await app_client.post(url, json=body)).json()["id"] for body in bodies]
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        await owner.execute("UPDATE app.suppressions SET value = NULL WHERE value = 'erased@example.com'")
        await owner.execute("UPDATE app.users SET role = 'member'")

    answers = [await app_client.delete(f"{url}/{one}", params={"reason": "a test"}) for one in ids]

    assert [answer.status_code for answer in answers] == [204] * 3 + [403] * 6
    assert "Only an admin" in answers[-1].json()["detail"]
    assert [one["id"] for one in (await app_client.get(url)).json()["items"]] == sorted(ids[3:], reverse=True)
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        await owner.execute("UPDATE app.users SET role = 'admin'")
    answers = [await app_client.delete(f"{url}/{one}", params={"reason": "in writing"}) for one in ids[3:]]
    assert [answer.status_code for answer in answers] == [204] * 6
    assert len((await app_client.get(f"{url}/removals")).json()["items"]) == len(ids)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "ann@example.com", "domain": "example.com"},
        {"email": "ann"},
        {"domain": "not a domain"},
        {"domain": "@"},
        {"email": "ann@example.com", "reason": "domain"},
        {"email": "ann@example.com", "source": "nul\x00"},
        {"email": "ann@example.com", "value": "x"},
    ],
)
async def test_bad_input(app_client: httpx.AsyncClient, url: str, body: dict[str, str]) -> None:
    """Neither, both, or what is no address or domain is refused with the field named, and nothing is written."""
    refused = await app_client.post(url, json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"]
    assert (await app_client.get(url)).json()["items"] == []


async def test_nul_in_query(app_client: httpx.AsyncClient, url: str) -> None:
    """A NUL byte in a query is refused, not passed to the database."""
    assert (await app_client.get(url, params={"value": "a\x00b"})).status_code == 422


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("anna%2Bb2b%40kunde.example", 200),
        ("Anna%2BB2B@Kunde.example%20", 200),
        ("anna+b2b@kunde.example", 422),
        ("anna", 422),
        ("kunde.example", 422),
        ("@", 422),
        ("@kunde", 422),
    ],
)
async def test_a_look_up_finds_the_address_or_is_refused(
    app_client: httpx.AsyncClient, url: str, query: str, status: int
) -> None:
    """An address with a plus is found when the plus is escaped; a text that is no address or @domain is refused."""
    await app_client.post(url, json={"email": "anna+b2b@kunde.example"})
    answer = await app_client.get(f"{url}?value={query}")
    assert answer.status_code == status
    if status == 200:
        assert [item["value"] for item in answer.json()["items"]] == ["anna+b2b@kunde.example"]
    assert (await app_client.get(f"{url}/removals?value={query}")).status_code == status


@pytest.mark.parametrize("listed", ["ute@xn--bcher-kva.example", "Ute@BÜCHER.example", "ute@bu\u0308cher.example"])
@pytest.mark.parametrize("given", ["ute@XN--BCHER-KVA.example", "ute@bücher.example"])
async def test_one_mailbox_is_suppressed_in_all_spellings(
    app_client: httpx.AsyncClient, url: str, workspace: str, listed: str, given: str
) -> None:
    """A suppression in one spelling of a domain is found by another, and covers a lead in another."""
    assert (await app_client.post(url, json={"email": listed})).status_code == 201
    assert (await app_client.post(url, json={"email": given})).status_code == 200
    assert len((await app_client.get(url, params={"value": given})).json()["items"]) == 1
    lead = (await app_client.post(f"/api/workspaces/{workspace}/leads", json={"email": given})).json()
    assert (await app_client.get(f"/api/workspaces/{workspace}/leads/{lead['id']}")).json()["suppressed"] is True


async def test_a_domain_is_suppressed_in_all_spellings(app_client: httpx.AsyncClient, url: str) -> None:
    """A domain in Punycode and in Unicode is one suppression."""
    first = await app_client.post(url, json={"domain": "xn--bcher-kva.example"})
    assert (await app_client.post(url, json={"domain": "BÜCHER.example"})).json() == first.json()
    assert first.json()["value"] == "@bücher.example"

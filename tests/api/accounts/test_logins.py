import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI

from ai.settings import AiSettings
from api.app import create_app
from api.settings import ApiSettings, OidcSettings
from database.roles import connect, owner_url
from tests.api.accounts.conftest import Accounts, Person
from tests.issuer import AUDIENCE, Issuer, issuer, issuer_process

__all__ = ["issuer", "issuer_process"]

pytestmark = pytest.mark.anyio

BO: dict[str, Any] = {"email": "bo@acme.example", "email_verified": True}


@pytest.fixture
async def app(database_url: str, api_settings: ApiSettings, issuer: Issuer) -> AsyncIterator[FastAPI]:
    """Start the service with an issuer whose tokens it takes."""
    oidc = OidcSettings(issuer=issuer.url, audience=AUDIENCE)
    app = create_app(api_settings, AiSettings(), owner_url(database_url), oidc)
    async with app.router.lifespan_context(app):
        yield app


async def me(accounts: Accounts, token: str) -> httpx.Response:
    """Return what the service says to who comes in with a token."""
    return await (await accounts.caller(token)).get("/api/me")


async def refusal(accounts: Accounts, token: str) -> str:
    """Return the sentence with which a token is refused."""
    answer = await me(accounts, token)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert token not in answer.text
    detail: str = answer.json()["detail"]
    return detail


async def test_a_verified_address_is_a_user(accounts: Accounts, issuer: Issuer, member: Person) -> None:
    """At the first login the address says who it is, with the user's role; after that the subject alone does."""
    first = await me(accounts, issuer.sign(sub="bo", email="BO@acme.example", email_verified=True))
    later = await me(accounts, issuer.sign(sub="bo"))

    assert first.status_code == later.status_code == 200
    assert (first.json()["user"]["id"], first.json()["user"]["role"]) == (member.id, "member")
    assert (first.json()["authenticatedBy"], first.json()["apiKeyId"]) == ("token", None)
    assert later.json()["user"]["id"] == member.id


async def test_a_token_may_what_its_user_may(accounts: Accounts, issuer: Issuer, admin: Person, member: Person) -> None:
    """A member's token is refused what is for admins, and works in a workspace as a key would."""
    caller = await accounts.caller(issuer.sign(sub="bo", **BO))
    body = {"name": "W", "defaultFromName": "Bo", "defaultFromEmail": "bo@acme.example"}

    assert (await caller.post("/api/workspaces", json=body)).status_code == 403
    made = await caller.post("/api/api-keys", json={"name": "mine"}, headers={"Idempotency-Key": "k"})
    again = await caller.post("/api/api-keys", json={"name": "mine"}, headers={"Idempotency-Key": "k"})
    assert made.status_code == 201
    assert again.json() == made.json()
    workspace = (await admin.client.post("/api/workspaces", json=body)).json()["id"]
    lead = await caller.post(f"/api/workspaces/{workspace}/leads", json={"email": "a@lead.example"})
    assert lead.status_code == 201
    leads = (await member.client.get(f"/api/workspaces/{workspace}/leads")).json()["items"]
    assert [row["id"] for row in leads] == [lead.json()["id"]]


async def test_first_logins_at_once_are_one_user(accounts: Accounts, issuer: Issuer, member: Person) -> None:
    """Several first requests of one person at the same moment are all let in, as the same user."""
    tokens = [issuer.sign(sub="bo", **BO) for _ in range(5)]
    answers = await asyncio.gather(*(me(accounts, token) for token in tokens))

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["user"]["id"] for answer in answers} == {member.id}


async def test_of_two_subjects_with_one_address_one_is_the_user(
    accounts: Accounts, issuer: Issuer, member: Person
) -> None:
    """Two subjects with the same address do not become one user, also when they log in at once."""
    answers = await asyncio.gather(*(me(accounts, issuer.sign(sub=one, **BO)) for one in ("bo", "bob", "rob")))

    assert sorted(answer.status_code for answer in answers) == [200, 401, 401]
    refused = next(answer for answer in answers if answer.status_code == 401)
    assert "another subject at this issuer" in refused.json()["detail"]


async def test_an_unverified_or_unknown_address_is_refused(accounts: Accounts, issuer: Issuer, member: Person) -> None:
    """An address that the issuer has not verified is refused, and so is one that no user has."""
    assert "no verified email" in await refusal(accounts, issuer.sign(email="bo@acme.example"))
    assert "no verified email" in await refusal(accounts, issuer.sign(email="bo@acme.example", email_verified=False))
    assert "No user has the token" in await refusal(accounts, issuer.sign(email="no@acme.example", email_verified=True))
    kelvin = issuer.sign(email="\N{KELVIN SIGN}im@acme.example", email_verified=True)
    assert "No user has the token" in await refusal(accounts, kelvin)


async def test_an_address_of_two_accounts_is_ambiguous(
    accounts: Accounts, issuer: Issuer, member: Person, stranger: Person
) -> None:
    """A person who is a user of two accounts is asked for a key, because the token does not say which is meant."""
    await accounts.add(stranger, "bo@acme.example")

    assert "several accounts" in await refusal(accounts, issuer.sign(**BO))


async def test_a_deleted_user_comes_in_no_more(
    accounts: Accounts, issuer: Issuer, admin: Person, member: Person
) -> None:
    """A token outlives its user and opens nothing; who is added again is known again."""
    token = issuer.sign(sub="bo", **BO)
    assert (await me(accounts, token)).status_code == 200
    assert (await admin.client.delete(f"/api/users/{member.id}")).status_code == 204

    assert "No user has the token" in await refusal(accounts, token)
    again = await accounts.add(admin, "bo@acme.example")
    assert (await me(accounts, token)).json()["user"]["id"] == again.id


async def test_a_changed_address_stays_the_same_user(accounts: Accounts, issuer: Issuer, member: Person) -> None:
    """Whose subject is known keeps their user whatever address the issuer gives them now."""
    await me(accounts, issuer.sign(sub="bo", **BO))
    renamed = await me(accounts, issuer.sign(sub="bo", email="ann@acme.example", email_verified=True))

    assert renamed.json()["user"]["id"] == member.id


async def test_a_bad_token_says_what_is_wrong(accounts: Accounts, issuer: Issuer, member: Person) -> None:
    """The sentence of the check that failed reaches the caller; keys go on working beside tokens."""
    assert "expired" in await refusal(accounts, issuer.sign(exp=1_700_000_000))
    assert "another audience" in await refusal(accounts, issuer.sign(aud="other"))
    assert "neither an API key nor a readable token" in await refusal(accounts, "gibberish")
    assert (await member.client.get("/api/me")).status_code == 200


async def test_an_issuer_that_is_away_is_not_the_callers_mistake(
    accounts: Accounts, issuer: Issuer, member: Person
) -> None:
    """Before any key is known the answer is a 503 problem that says so, and keys of ours go on working."""
    token = issuer.sign(**BO)
    issuer.stop()
    answer = await me(accounts, token)

    assert (answer.status_code, answer.json()["code"]) == (503, "issuer_unavailable")
    assert (await member.client.get("/api/me")).status_code == 200


async def test_subjects_are_stored_hashed(
    accounts: Accounts, issuer: Issuer, member: Person, database_url: str
) -> None:
    """The database knows a subject again, and does not hold its name."""
    await me(accounts, issuer.sign(sub="the subject of bo", **BO))

    with connect(owner_url(database_url)) as owner:
        assert len(_subjects(owner)) == 1
        assert "the subject of bo" not in _subjects(owner)[0]


def _subjects(owner: psycopg.Connection) -> list[str]:
    rows = owner.execute("SELECT subject_hash FROM app.users WHERE subject_hash IS NOT NULL").fetchall()
    return [subject for (subject,) in rows]

"""Callers of several roles and accounts, on the real app."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import httpx
import pytest
from fastapi import FastAPI

from api.accounts import service
from api.http.resources import Services
from database.tenancy import Scope, transaction


@dataclass(frozen=True, slots=True)
class Person:
    """A user of an account, who calls with a key of their own."""

    id: str
    key_id: str
    client: httpx.AsyncClient


@dataclass(frozen=True, slots=True)
class Accounts:
    """Makes accounts and users, and speaks for each of them."""

    app: FastAPI
    services: Services
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def caller(self, credential: str) -> httpx.AsyncClient:
        """Return a client that calls with a key or a token."""
        headers = {"Authorization": f"Bearer {credential}"}
        client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://test", headers=headers)
        return await self.closing.enter_async_context(client)

    async def found(self, name: str = "Acme", email: str = "ann@acme.example") -> Person:
        """Make an account and return its admin."""
        async with transaction(self.services.pool, Scope()) as session:
            made = await service.create_account(session, name=name, user_name="Ann", email=email)
        client = await self.caller(made.api_key)
        me = (await client.get("/api/me")).json()
        return Person(str(made.user_id), me["apiKeyId"], client)

    async def add(self, admin: Person, email: str, role: str = "member") -> Person:
        """Have an admin add a user and make a key for them."""
        made = await admin.client.post("/api/users", json={"email": email, "name": "Bo", "role": role})
        assert made.status_code == 201, made.text
        key = await admin.client.post("/api/api-keys", json={"name": "theirs", "userId": made.json()["id"]})
        assert key.status_code == 201, key.text
        return Person(made.json()["id"], key.json()["id"], await self.caller(key.json()["token"]))


@pytest.fixture
async def accounts(app: FastAPI, services: Services) -> AsyncIterator[Accounts]:
    """Return the maker of accounts."""
    made = Accounts(app, services)
    async with made.closing:
        yield made


@pytest.fixture
async def admin(accounts: Accounts) -> Person:
    """Return the admin of a new account."""
    return await accounts.found()


@pytest.fixture
async def member(accounts: Accounts, admin: Person) -> Person:
    """Return a member of the admin's account."""
    return await accounts.add(admin, "bo@acme.example")


@pytest.fixture
async def stranger(accounts: Accounts) -> Person:
    """Return the admin of another account."""
    return await accounts.found("Other", "eve@other.example")

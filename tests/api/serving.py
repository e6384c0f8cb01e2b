"""The service on real HTTP in a thread of its own, for clients that know nothing of our event loop."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from ai.settings import AiSettings
from api.accounts import service
from api.app import create_app
from api.settings import ApiSettings
from database.engine import create_pool
from database.roles import APP_ROLE, owner_url, role_url
from database.tenancy import Scope, transaction


@dataclass(frozen=True, slots=True)
class Service:
    """The address of the service, and the credential of an admin."""

    url: str
    headers: dict[str, str]


@contextmanager
def serving(settings: ApiSettings, database_url: str) -> Iterator[Service]:
    """Serve the app on a migrated database, with an account that has one admin."""
    app = create_app(settings, AiSettings(), owner_url(database_url))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            headers = {"Authorization": f"Bearer {asyncio.run(_admin(database_url))}"}
            yield Service(f"http://127.0.0.1:{listener.getsockname()[1]}", headers)
        finally:
            server.should_exit = True
            thread.join()


async def _admin(database_url: str) -> str:
    """Make an account and return its admin's key."""
    pool = create_pool(role_url(owner_url(database_url), APP_ROLE), size=1)
    async with transaction(pool, Scope()) as session:
        made = await service.create_account(session, name="Acme", user_name="Ann", email="ann@acme.example")
    await pool.dispose()
    return made.api_key

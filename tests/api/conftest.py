"""The real app on a real database, an account that may call it, and a worker that does what it put on the queue."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from ai.settings import AiSettings
from api.accounts import service
from api.app import create_app
from api.http.resources import Services
from api.jobs.engine import Engine, EngineSettings
from api.settings import ApiSettings
from api.tasks import tasks
from database.engine import create_pool
from database.roles import ENGINE_ROLE, owner_url, role_url
from database.tenancy import Scope, transaction
from tests.api.importing import Imports
from tests.api.open_apps import OpenApps
from tests.api.running import RunJobs
from tests.api.sending_workspace import add_workspace, connector, outreach
from tests.api.states import states
from tests.recycled_databases import RecycledDatabases
from tests.sandbox import sandbox

__all__ = ["RunJobs", "connector", "outreach", "sandbox", "states"]


@pytest.fixture(scope="session")
def bound_socket() -> Iterator[socket.socket]:
    """Hold a free port for the whole run; calls to it are refused as long as no test listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A port that is named stays bound when the socket stops listening.
        bound.bind(address)
        yield bound


@pytest.fixture
def listener(bound_socket: socket.socket) -> Iterator[socket.socket]:
    """Listen on the run's port, for tests in which others call the app."""
    with bound_socket.dup() as listening:
        listening.listen()
        yield listening
    # It stops listening and stays bound.
    with contextlib.suppress(OSError):
        bound_socket.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def api_settings(listener: socket.socket) -> ApiSettings:
    """Settings of a small, quick process."""
    port = listener.getsockname()[1]
    return ApiSettings(
        secret_key=SecretStr("a key of the tests"),
        public_url=f"http://127.0.0.1:{port}",
        pool_size=5,
        provider_timeout_seconds=4,
        provider_wait_seconds=30,
        poll_milliseconds=10,
    )


@pytest.fixture
def ai_settings() -> AiSettings:
    """No model and no tracing; tests that want them say so in a fixture of this name."""
    return AiSettings(openai_api_key=None, langfuse_public_key=None, langfuse_secret_key=None)


@pytest.fixture(scope="session")
async def open_apps(recycled_databases: RecycledDatabases) -> AsyncIterator[OpenApps]:
    """Keep apps open from one test to the next."""
    apps = OpenApps(recycled_databases)
    yield apps
    await apps.close_all()


@pytest.fixture
async def app(
    request: pytest.FixtureRequest,
    database_url: str,
    api_settings: ApiSettings,
    ai_settings: AiSettings,
    recycled_databases: RecycledDatabases,
    open_apps: OpenApps,
) -> AsyncIterator[FastAPI]:
    """Run the service on the test's database; a test marked `own_app` gets one that no test used before."""
    if recycled_databases.is_used(database_url):
        if request.node.get_closest_marker("own_app") is None:
            yield await open_apps.get(database_url, api_settings, ai_settings)
            return
        await open_apps.close(database_url)
    app = create_app(api_settings, ai_settings, owner_url(database_url))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def served(app: FastAPI, listener: socket.socket) -> AsyncIterator[str]:
    """Serve the app on real HTTP, for those who call it from outside, and return its origin."""
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="warning"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.wait({serving}, timeout=0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await serving


@pytest.fixture
def services(app: FastAPI) -> Services:
    """What the app works with."""
    found: Services = app.state.services
    return found


@pytest.fixture
async def api_key(services: Services) -> str:
    """Make an account with an admin and return the admin's API key."""
    async with transaction(services.pool, Scope()) as session:
        made = await service.create_account(session, name="Acme", user_name="Ann", email="ann@acme.example")
    return made.api_key


@pytest.fixture
async def app_client(app: FastAPI, api_key: str) -> AsyncIterator[httpx.AsyncClient]:
    """Speak HTTP to the app as an admin of the account."""
    headers = {"Authorization": f"Bearer {api_key}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        yield client


@pytest.fixture
async def workspace(app_client: httpx.AsyncClient) -> str:
    """Make a workspace that may send at any hour and return its id."""
    return await add_workspace(app_client)


@pytest.fixture
async def run_jobs(services: Services, database_url: str) -> AsyncIterator[RunJobs]:
    """Return a call that works until no job is due or running."""
    queue = create_pool(role_url(owner_url(database_url), ENGINE_ROLE), size=3)

    async def is_idle() -> bool:
        async with AsyncSession(queue) as session:
            open_jobs = text(
                "SELECT count(*) FROM app.scheduled_jobs"
                " WHERE status = 'running' OR status = 'pending' AND run_at <= :now"
            )
            # What was put on the queue a moment ago may be due a moment after this clock was read.
            return not await session.scalar(open_jobs, {"now": services.clock.after(0.5)})

    async def run() -> None:
        engine = Engine(
            queue=queue,
            pool=services.pool,
            clock=services.clock,
            tasks=tasks(services.settings),
            resources=services,
            settings=EngineSettings(poll_seconds=0.01),
        )
        await engine.run_until(is_idle)

    yield run
    await queue.dispose()


@pytest.fixture
def imports(app_client: httpx.AsyncClient, workspace: str, run_jobs: RunJobs) -> Imports:
    """Speak to the imports of the test's workspace."""
    return Imports(app_client, workspace, run_jobs)

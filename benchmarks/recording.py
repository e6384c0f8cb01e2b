"""What the app says to its database: recorded at the driver, so that a baseline runs the very same statements."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import httpx
import psycopg
from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.engine import Engine

from ai.settings import AiSettings
from api.app import create_app
from api.settings import ApiSettings
from benchmarks.errors import BenchFailed
from salesmatter.stack import Database


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement and its parameters, as the driver gets them."""

    text: bytes
    parameters: Any


async def statements_of(database: Database, api_key: str, paths: Sequence[str]) -> list[list[Statement]]:
    """Return what the app, run in this process, sends for a GET of each path; raises BenchFailed for a path it refuses.

    Each path is asked for twice and the second time is recorded: what is only done now and then is left out.
    """
    key = SecretStr(database.environment()["SALESMATTER_SECRET_KEY"])
    nobody = AiSettings(openai_api_key=None, langfuse_public_key=None, langfuse_secret_key=None)
    app = create_app(ApiSettings(secret_key=key, rate_limit="off", clock=None), nobody, database.owner)
    recorded = []
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://bench",
            headers={"Authorization": f"Bearer {api_key}"},
        ) as client,
    ):
        for path in paths:
            await client.get(path)
            with _recorded(app.state.services.pool.sync_engine) as statements:
                response = await client.get(path)
            if not response.is_success:
                raise BenchFailed(f"GET {path} answered {response.status_code}: {response.text[:300]}")
            recorded.append(statements)
    return recorded


@contextmanager
def _recorded(engine: Engine) -> Iterator[list[Statement]]:
    statements: list[Statement] = []

    class Recording(psycopg.AsyncCursor[Any]):
        async def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
            statements.append(Statement(query if isinstance(query, bytes) else str(query).encode(), params))
            return await super().execute(query, params, **options)

    def record(connection: Any, *_: object) -> None:
        connection.driver_connection.cursor_factory = Recording

    def stop(connection: Any, *_: object) -> None:
        connection.driver_connection.cursor_factory = psycopg.AsyncCursor

    listeners = (("checkout", record), ("checkin", stop))
    for name, listener in listeners:
        event.listen(engine, name, listener)
    try:
        yield statements
    finally:
        for name, listener in listeners:
            event.remove(engine, name, listener)

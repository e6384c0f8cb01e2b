"""Records the SQL statements of the app at the driver, so that a baseline can run the same statements."""

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
from benchmarks.errors import BenchmarkError
from salesmatter.stack import Database


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement and its parameters, as passed to the driver."""

    text: bytes
    parameters: Any


async def record_statements(database: Database, api_key: str, paths: Sequence[str]) -> list[list[Statement]]:
    """Run the app in this process, and return its statements for a GET of each path; may raise BenchmarkError.

    Each path is requested twice and the second request is recorded, because the first may run additional statements.
    """
    key = SecretStr(database.to_environment()["SALESMATTER_SECRET_KEY"])
    ai_settings = AiSettings(openai_api_key=None, langfuse_public_key=None, langfuse_secret_key=None)
    app = create_app(ApiSettings(secret_key=key, rate_limit="off", clock=None), ai_settings, database.owner)
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
            with _record(app.state.services.pool.sync_engine) as statements:
                response = await client.get(path)
            if not response.is_success:
                raise BenchmarkError(f"GET {path} returned {response.status_code}: {response.text[:300]}")
            recorded.append(statements)
    return recorded


@contextmanager
def _record(engine: Engine) -> Iterator[list[Statement]]:
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

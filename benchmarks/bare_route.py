"""Baseline of the API: a minimal FastAPI route that returns a list of leads.

It runs the same SQL with the same parameters as the same role, and returns the rows through the same response model
from the same server. It has no authentication, logs, ETags, middleware or ORM objects. Its connections set the
workspace once, when they are opened, and each request is one statement in autocommit: the least that a response with
database rows can cost in FastAPI.
"""

import argparse
import base64
import os
import pickle
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from fastapi import FastAPI
from psycopg.rows import namedtuple_row
from psycopg_pool import AsyncConnectionPool

from api.http.pagination import Page
from api.people.leads.schemas import LeadOut
from api.server import Server
from benchmarks.bare_driver import CONNECT_OPTIONS, enter_workspace
from benchmarks.recording import Statement

VARIABLE = "SALESMATTER_BENCH_ROUTE"
POOL_SIZE = 20


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """The database, the workspace, and the statement of each page size."""

    url: str
    workspace_id: UUID
    statements: Mapping[int, Statement]

    def to_environment(self) -> dict[str, str]:
        """Return the environment variables that pass the configuration to the route's process."""
        return {VARIABLE: base64.b64encode(pickle.dumps((self.url, self.workspace_id, self.statements))).decode()}

    @classmethod
    def from_environment(cls) -> "RouteConfig":
        """Return the configuration from the environment of this process."""
        # The parent process set the variable.
        return cls(*pickle.loads(base64.b64decode(os.environ[VARIABLE])))  # noqa: S301


def create_app(config: RouteConfig) -> FastAPI:
    """Return an app with one route."""
    pool = AsyncConnectionPool(
        config.url,
        min_size=POOL_SIZE,
        open=False,
        kwargs={**CONNECT_OPTIONS, "row_factory": namedtuple_row},
        configure=lambda connection: enter_workspace(connection, config.workspace_id),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with pool:
            await pool.wait()
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/leads")
    async def list_leads(limit: int) -> Page[LeadOut]:
        """Return the rows."""
        statement = config.statements[limit]
        async with pool.connection() as connection:
            cursor = await connection.execute(statement.text, statement.parameters)
            rows = await cursor.fetchall()
        return Page(items=[LeadOut.of(row) for row in rows[:limit]])

    @app.get("/ready")
    async def ready() -> None:
        """Return an empty response."""

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    Server(create_app(RouteConfig.from_environment()), host="127.0.0.1", port=parser.parse_args().port).run()

"""A baseline: a FastAPI route that answers a list of leads and does nothing else of what the service does.

It fetches the same rows by the same statement with the same parameters, as the same role, and answers them through the
same response model, from the same kind of server in a process of its own. It authenticates nobody, logs nothing, tags
nothing, and has no middleware and no Python objects for rows. Its connections enter the workspace once, when they are
opened, and each request is one statement on one of them, without a transaction around it: the least that an
answer from the database can cost in FastAPI.
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
from benchmarks.bare_driver import CONNECTING, enter_for_good
from benchmarks.recording import Statement

VARIABLE = "SALESMATTER_BENCH_ROUTE"
POOL_SIZE = 20


@dataclass(frozen=True, slots=True)
class Order:
    """What to serve: where the rows are, whose they are, and the statement for each page size."""

    url: str
    workspace_id: UUID
    statements: Mapping[int, Statement]

    def environment(self) -> dict[str, str]:
        """Return what the route's process is told."""
        return {VARIABLE: base64.b64encode(pickle.dumps((self.url, self.workspace_id, self.statements))).decode()}

    @classmethod
    def of_environment(cls) -> "Order":
        """Return what this process was told."""
        # Written by the process that started this one, for it alone.
        return cls(*pickle.loads(base64.b64decode(os.environ[VARIABLE])))  # noqa: S301


def create_app(order: Order) -> FastAPI:
    """Return the app of one route."""
    pool = AsyncConnectionPool(
        order.url,
        min_size=POOL_SIZE,
        open=False,
        kwargs={**CONNECTING, "row_factory": namedtuple_row},
        configure=lambda connection: enter_for_good(connection, order.workspace_id),
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
        statement = order.statements[limit]
        async with pool.connection() as connection:
            cursor = await connection.execute(statement.text, statement.parameters)
            rows = await cursor.fetchall()
        return Page(items=[LeadOut.of(row) for row in rows[:limit]])

    @app.get("/ready")
    async def ready() -> None:
        """Answer."""

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    Server(create_app(Order.of_environment()), host="127.0.0.1", port=parser.parse_args().port).run()

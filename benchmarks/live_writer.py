"""Commits changes that live queries bring, from a process of its own, and notes when each commit began.

Its standard input is one JSON object: `kind`, `app` and `owner` (URLs), `acts` ([[number, workspace] …] in order; a
number without a workspace is a bare notification) and `gaps`, the seconds to wait after each. `pinging` commits by the
pools of the service, which ping; `silent` commits as somebody with psql does. It writes [[number, ns] …].
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeAlias
from uuid import UUID

import psycopg
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.live_marks import CHANNEL, MARKED, mark
from database.engine import create_pool
from database.pings import pinging
from database.tenancy import Scope, enter, unscoped

Commit: TypeAlias = Callable[[int, UUID], Awaitable[int]]
"""Writes a mark into a workspace, and returns when its commit began."""

_BARE = "UPDATE app.leads SET company = %(mark)s WHERE workspace_id = %(workspace)s AND role = %(role)s"
_POOLED = text(re.sub(r"%\((\w+)\)s", r":\1", _BARE))


def pooled(pool: AsyncEngine) -> Commit:
    """Return the act of committing as the API and the worker do."""

    async def commit(number: int, workspace: UUID) -> int:
        async with unscoped(pool) as session:
            await enter(session, Scope(workspace_id=workspace))
            await session.execute(_POOLED, _values(number, workspace))
            began = time.monotonic_ns()
            await session.commit()
        return began

    return commit


def bare(connection: psycopg.AsyncConnection) -> Commit:
    """Return the act of committing by the driver alone; nobody is told."""

    async def commit(number: int, workspace: UUID) -> int:
        await connection.execute(_BARE, _values(number, workspace))
        began = time.monotonic_ns()
        await connection.commit()
        return began

    return commit


def _values(number: int, workspace: UUID) -> dict[str, object]:
    return {"mark": mark(number), "workspace": workspace, "role": MARKED}


@asynccontextmanager
async def _committing(kind: str, app: str, owner: str) -> AsyncIterator[Commit]:
    async with AsyncExitStack() as stack:
        if kind == "silent":
            yield bare(await stack.enter_async_context(await psycopg.AsyncConnection.connect(owner)))
            return
        url = make_url(app).set(drivername="postgresql+psycopg")
        pool = create_pool(url, size=1)
        stack.push_async_callback(pool.dispose)
        pings = await stack.enter_async_context(pinging(url, "salesmatter-bench"))
        pings.watch(pool)
        yield pooled(pool)


async def _main() -> None:
    told = json.load(sys.stdin)
    begun: list[tuple[int, int]] = []
    async with (
        _committing(told["kind"], told["app"], told["owner"]) as commit,
        await psycopg.AsyncConnection.connect(told["owner"], autocommit=True) as notifier,
    ):
        for (number, workspace), gap in zip(told["acts"], told["gaps"], strict=True):
            if workspace is None:
                begun.append((number, time.monotonic_ns()))
                await notifier.execute(f"NOTIFY {CHANNEL}, '{number}'")
            else:
                begun.append((number, await commit(number, UUID(workspace))))
            await asyncio.sleep(gap)
    sys.stdout.write(json.dumps(begun))


if __name__ == "__main__":
    asyncio.run(_main())

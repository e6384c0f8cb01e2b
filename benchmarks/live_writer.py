"""A process that commits changes of leads and records when each commit started.

Its standard input is one JSON object: `kind`, `app` and `owner` (URLs), `commits` ([[number, workspace] …] in order; a
number without a workspace is a plain notification) and `gaps`, the seconds to wait after each. The kind `notifying`
commits with the service's pool, which notifies; `silent` commits as psql does. It writes [[number, ns] …].
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

from benchmarks.live_marks import CHANNEL, MARKED_ROLE, make_mark
from database.commit_notifier import run_commit_notifier
from database.engine import create_pool
from database.tenancy import Scope, enter_scope, open_unscoped_session

Commit: TypeAlias = Callable[[int, UUID], Awaitable[int]]
"""Writes a mark into a workspace, and returns the start time of its commit."""

_BARE = "UPDATE app.leads SET company = %(mark)s WHERE workspace_id = %(workspace)s AND role = %(role)s"
_POOLED = text(re.sub(r"%\((\w+)\)s", r":\1", _BARE))


def make_pool_commit(pool: AsyncEngine) -> Commit:
    """Return a function that commits as the API and the worker do."""

    async def commit(number: int, workspace: UUID) -> int:
        async with open_unscoped_session(pool) as session:
            await enter_scope(session, Scope(workspace_id=workspace))
            await session.execute(_POOLED, _values(number, workspace))
            started_at = time.monotonic_ns()
            await session.commit()
        return started_at

    return commit


def make_driver_commit(connection: psycopg.AsyncConnection) -> Commit:
    """Return a function that commits with psycopg, without a notification."""

    async def commit(number: int, workspace: UUID) -> int:
        await connection.execute(_BARE, _values(number, workspace))
        started_at = time.monotonic_ns()
        await connection.commit()
        return started_at

    return commit


def _values(number: int, workspace: UUID) -> dict[str, object]:
    return {"mark": make_mark(number), "workspace": workspace, "role": MARKED_ROLE}


@asynccontextmanager
async def _open_commit(kind: str, app: str, owner: str) -> AsyncIterator[Commit]:
    async with AsyncExitStack() as stack:
        if kind == "silent":
            yield make_driver_commit(await stack.enter_async_context(await psycopg.AsyncConnection.connect(owner)))
            return
        url = make_url(app).set(drivername="postgresql+psycopg")
        pool = create_pool(url, size=1)
        stack.push_async_callback(pool.dispose)
        notifier = await stack.enter_async_context(run_commit_notifier(url, "salesmatter-bench"))
        notifier.watch(pool)
        yield make_pool_commit(pool)


async def _main() -> None:
    config = json.load(sys.stdin)
    started: list[tuple[int, int]] = []
    async with (
        _open_commit(config["kind"], config["app"], config["owner"]) as commit,
        await psycopg.AsyncConnection.connect(config["owner"], autocommit=True) as notifier,
    ):
        for (number, workspace), gap in zip(config["commits"], config["gaps"], strict=True):
            if workspace is None:
                started.append((number, time.monotonic_ns()))
                await notifier.execute(f"NOTIFY {CHANNEL}, '{number}'")
            else:
                started.append((number, await commit(number, UUID(workspace))))
            await asyncio.sleep(gap)
    sys.stdout.write(json.dumps(started))


if __name__ == "__main__":
    asyncio.run(_main())

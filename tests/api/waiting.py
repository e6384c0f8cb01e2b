"""Bringing two transactions to the same row in an order that the test chooses."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import psycopg

T = TypeVar("T")

_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def until_waiting(watcher: psycopg.Connection, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """Start something, and return it once it waits for a row that another transaction holds; fails if it need not.

    The watcher is a connection that commits by itself and holds nothing.
    """
    task = asyncio.create_task(work)
    while watcher.execute(_WAITING).fetchone() == (0,):
        assert not task.done(), "the task did not wait"
        await asyncio.wait({task}, timeout=0.01)
    return task

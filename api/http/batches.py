"""Doing together what many ask for at the same moment: one transaction and a few statements instead of one each."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from database.tenancy import Scope, transaction

MOST_AT_ONCE = 500

I = TypeVar("I")  # noqa: E741 - the item that goes in
O = TypeVar("O")  # noqa: E741 - the result that comes out

Act = Callable[[AsyncSession, UUID, Sequence[I]], Awaitable[Sequence[O]]]
"""A set-based act in the scope of one workspace: as many results as items, in the same order."""


class Batches:
    """Gathers the items of an act for a few milliseconds per workspace, and runs it once for all of them."""

    def __init__(self, pool: AsyncEngine, wait_seconds: float) -> None:
        self._pool, self._wait_seconds = pool, wait_seconds
        self._waiting: dict[tuple[Act[Any, Any], UUID], list[tuple[Any, asyncio.Future[Any]]]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, act: Act[I, O], workspace_id: UUID, item: I, *, at_once: bool = False) -> O:
        """Return the item's result once the transaction that holds it is committed; raises what made it fail.

        With `at_once` nothing is waited for but a batch that is under way.
        """
        result: asyncio.Future[O] = asyncio.get_running_loop().create_future()
        key = (act, workspace_id)
        if (waiting := self._waiting.get(key)) is not None:
            waiting.append((item, result))
        else:
            self._waiting[key] = [(item, result)]
            task = asyncio.create_task(self._flush(act, workspace_id, 0.0 if at_once else self._wait_seconds))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await result

    async def _flush(self, act: Act[Any, Any], workspace_id: UUID, wait_seconds: float) -> None:
        key = (act, workspace_id)
        await asyncio.sleep(wait_seconds)
        # What is asked for while a batch is under way makes the next one, so that batches grow with the load.
        while self._waiting[key]:
            batch, self._waiting[key] = self._waiting[key][:MOST_AT_ONCE], self._waiting[key][MOST_AT_ONCE:]
            await self._settle(act, workspace_id, batch)
        del self._waiting[key]

    async def _settle(
        self, act: Act[Any, Any], workspace_id: UUID, batch: Sequence[tuple[Any, asyncio.Future[Any]]]
    ) -> None:
        try:
            results = await self._commit(act, workspace_id, [item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - each that waits is told
            if len(batch) > 1:
                # One that cannot be done must not take the others down with it.
                for one in batch:
                    await self._settle(act, workspace_id, [one])
            elif not batch[0][1].done():
                batch[0][1].set_exception(error)
            return
        for (_, waiting), result in zip(batch, results, strict=True):
            if not waiting.done():
                waiting.set_result(result)

    async def _commit(self, act: Act[Any, Any], workspace_id: UUID, items: Sequence[Any]) -> Sequence[Any]:
        async with transaction(self._pool, Scope(workspace_id=workspace_id)) as session:
            return await act(session, workspace_id, items)

"""Combines concurrent calls into one transaction with a few statements."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from database.tenancy import Scope, transaction

MAX_BATCH = 500

I = TypeVar("I")  # noqa: E741 - the item that goes in
O = TypeVar("O")  # noqa: E741 - the result that comes out

Action = Callable[[AsyncSession, UUID, Sequence[I]], Awaitable[Sequence[O]]]
"""An action on many items of one workspace; it returns one result per item, in the same order."""


class Batches:
    """Collects the items of an action for a few milliseconds per workspace, and runs the action once for all."""

    def __init__(self, pool: AsyncEngine, wait_seconds: float) -> None:
        self._pool, self._wait_seconds = pool, wait_seconds
        self._waiting: dict[tuple[Action[Any, Any], UUID], list[tuple[Any, asyncio.Future[Any]]]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, action: Action[I, O], workspace_id: UUID, item: I, *, at_once: bool = False) -> O:
        """Return the result of an item after its transaction has committed; raises the error of the item.

        With `at_once` it waits only for a batch that is running.
        """
        result: asyncio.Future[O] = asyncio.get_running_loop().create_future()
        key = (action, workspace_id)
        if (waiting := self._waiting.get(key)) is not None:
            waiting.append((item, result))
        else:
            self._waiting[key] = [(item, result)]
            task = asyncio.create_task(self._flush(action, workspace_id, 0.0 if at_once else self._wait_seconds))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await result

    async def _flush(self, action: Action[Any, Any], workspace_id: UUID, wait_seconds: float) -> None:
        key = (action, workspace_id)
        await asyncio.sleep(wait_seconds)
        # The items that arrive while a batch runs are the next batch, so batches grow with the load.
        while self._waiting[key]:
            batch, self._waiting[key] = self._waiting[key][:MAX_BATCH], self._waiting[key][MAX_BATCH:]
            await self._run_batch(action, workspace_id, batch)
        del self._waiting[key]

    async def _run_batch(
        self, action: Action[Any, Any], workspace_id: UUID, batch: Sequence[tuple[Any, asyncio.Future[Any]]]
    ) -> None:
        try:
            results = await self._commit(action, workspace_id, [item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - every waiting caller gets the error
            if len(batch) > 1:
                # The failure of one item must not fail the others.
                for entry in batch:
                    await self._run_batch(action, workspace_id, [entry])
            elif not batch[0][1].done():
                batch[0][1].set_exception(error)
            return
        for (_, waiting), result in zip(batch, results, strict=True):
            if not waiting.done():
                waiting.set_result(result)

    async def _commit(self, action: Action[Any, Any], workspace_id: UUID, items: Sequence[Any]) -> Sequence[Any]:
        async with transaction(self._pool, Scope(workspace_id=workspace_id)) as session:
            return await action(session, workspace_id, items)

"""Queries that are asked again when what they read has changed; all who subscribe to the same share one."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Scope

from api.live.asking import SERVER_ERROR, run_query
from api.live.patches import Change
from api.live.service import Follower, Subscription
from database.statements import capture_relations

log = logging.getLogger(__name__)

OK, NOT_MODIFIED = 200, 304
DELTA = "delta"
"""A parameter of the stream, which the query itself knows nothing of."""

_REPLACED = {b"accept", b"if-none-match", b"last-event-id", b"x-request-id"}


@dataclass(frozen=True, slots=True)
class Result:
    """What a query answered; only one of status 200 with an `etag` can be followed."""

    start: Message
    body: bytes
    etag: str | None
    scope: Scope
    """The request as it was answered: its route, and who asked."""

    @property
    def can_be_followed(self) -> bool:
        """Whether it is a result that may change, rather than a refusal or a file."""
        return self.start["status"] == OK and self.etag is not None


class Reader:
    """One stream of a query: `changed` is set when there is something it has not been sent."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()


class SharedQuery:
    """One query of one access, asked once for all who read it, and at most so often."""

    def __init__(
        self, app: ASGIApp, scope: Scope, subscription: Subscription, follower: Follower, turn: asyncio.Semaphore
    ) -> None:
        # Of its own: what is found out about who asks belongs to each time it is asked.
        self._scope: Scope = {**scope, "state": dict(scope.get("state") or {})}
        self._app, self._subscription, self._follower = app, subscription, follower
        self._turn = turn
        self.readers: set[Reader] = set()
        self.result: Result | None = None
        self.change: Change | None = None
        """How the result became of the one before."""
        self._asked = self._begun = self._done = 0
        self._answered = asyncio.Condition()
        self._refused: Result | None = None
        self._failed: Exception | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing will follow any more."""
        return self._subscription.has_ended

    async def fresh(self) -> Result | None:
        """Return a result that was asked for after this was called; many who call at once are answered by one.

        One of a status from 500 on is of a server that cannot answer now. None when the process stops; raises what the
        query failed with.
        """
        async with self._answered:
            wanted = self._asked = self._begun + 1
            self._subscription.woken.set()
            await self._answered.wait_for(lambda: self._done >= wanted or self._failed is not None or self.has_ended)
        if self._failed is not None:
            raise self._failed
        if self._refused is not None:
            return self._refused
        return self.result if self._done >= wanted else None

    async def run(self, seconds_between: float) -> None:
        """Ask whenever it may have changed, at most once in so long unless somebody joins, until nobody reads it."""
        asked_at = -seconds_between
        try:
            while True:
                await self._subscription.woken.wait()
                if self._asked <= self._begun:
                    await self._hold_back(asked_at + seconds_between - time.monotonic())
                self._subscription.woken.clear()
                if self.has_ended:
                    break
                asked_at = time.monotonic()
                self._begun += 1
                self._take(await self._ask())
                async with self._answered:
                    self._done = self._begun
                    self._answered.notify_all()
        except Exception as error:
            log.exception("A live query failed.")
            self._failed = error
        finally:
            self._subscription.end()
            self._tell()
            async with self._answered:
                self._answered.notify_all()

    async def _hold_back(self, seconds: float) -> None:
        """Wait, unless somebody joins meanwhile or it is over."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and self._asked <= self._begun and not self.has_ended:
            self._subscription.woken.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._subscription.woken.wait()

    def _take(self, result: Result) -> None:
        """Keep a result that is another than the last, and tell the readers."""
        status = result.start["status"]
        if self.result is not None and status < SERVER_ERROR and _who(self.result.scope) != _who(result.scope):
            # Whoever has another role by now comes in anew.
            self._subscription.end()
        if self.result is not None and status == NOT_MODIFIED:
            return
        if self.result is not None and status >= SERVER_ERROR:
            # The streams end, and their clients come back with what they know.
            self._refused = result
            self._subscription.end()
            return
        self.change = _change(self.result, result)
        self.result = result
        self._tell()

    def _tell(self) -> None:
        for reader in self.readers:
            reader.changed.set()

    async def _ask(self) -> Result:
        """Ask as the caller would, inside the process; status 304 when the answer is the one that is known."""
        tag = self.result.etag if self.result is not None and self.result.etag else ""
        kept = [(name, value) for name, value in self._scope["headers"] if name not in _REPLACED]
        headers = [*kept, (b"accept", b"application/json"), (b"if-none-match", tag.encode("latin-1"))]
        state = dict(self._scope.get("state") or {})
        scope: Scope = {**self._scope, "headers": headers, "state": state, "query_string": build_query(self._scope)}
        with capture_relations() as names:
            async with self._turn:
                answer = await run_query(self._app, scope)
        scopes = [state[name] for name in ("workspace_id", "account_id") if state.get(name) is not None]
        if answer.status in {OK, NOT_MODIFIED}:
            self._follower.narrow(self._subscription, scopes, names)
        return Result(answer.start, answer.body, answer.headers.get("etag"), scope)


def _change(before: Result | None, after: Result) -> Change | None:
    return None if before is None or before.etag is None else Change(before.etag, before.body, after.body)


def _who(scope: Scope) -> object:
    state = scope.get("state") or {}
    return state.get("user_id"), state.get("role")


def build_query(scope: Scope) -> bytes:
    """Return the query string that the query itself is asked with."""
    asked = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    kept = [(name, value) for name, value in asked if name != DELTA]
    return scope.get("query_string", b"") if len(kept) == len(asked) else urlencode(kept, encoding="latin-1").encode()


class SharedQueries:
    """All queries that are subscribed to in this process, each once for all streams of the same access."""

    def __init__(self, app: ASGIApp, *, results_per_second: float, runs_at_once: int) -> None:
        self._app, self._turn = app, asyncio.Semaphore(runs_at_once)
        self._seconds_between = 1 / results_per_second
        self._shared: dict[tuple[object, ...], SharedQuery] = {}
        self._running: dict[tuple[object, ...], tuple[asyncio.Task[None], ExitStack]] = {}

    @asynccontextmanager
    async def read(self, scope: Scope, follower: Follower) -> AsyncIterator[tuple[SharedQuery, Reader]]:
        """Join the query of a request, or begin it, and read it as long as the block runs."""
        key = _key_of(scope)
        query = self._shared.get(key)
        if query is None or query.has_ended:
            query = self._begin(key, scope, follower)
        reader = Reader()
        query.readers.add(reader)
        try:
            yield query, reader
        finally:
            query.readers.discard(reader)
            if not query.readers and self._shared.get(key) is query:
                self._end(key)

    def _begin(self, key: tuple[object, ...], scope: Scope, follower: Follower) -> SharedQuery:
        if key in self._running:
            self._end(key)
        stack = ExitStack()
        subscription = stack.enter_context(follower.subscribe())
        query = SharedQuery(self._app, scope, subscription, follower, self._turn)
        self._shared[key] = query
        self._running[key] = (asyncio.create_task(query.run(self._seconds_between)), stack)
        return query

    def _end(self, key: tuple[object, ...]) -> None:
        del self._shared[key]
        task, stack = self._running.pop(key)
        task.cancel()
        stack.close()


def _key_of(scope: Scope) -> tuple[object, ...]:
    """Return what two requests have in common whose results are the same by construction."""
    return scope["path"], build_query(scope), Headers(scope=scope).get("authorization")

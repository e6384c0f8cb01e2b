"""Live queries that run again when the tables they read change. All subscribers of a query share one run."""

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

from api.live.patches import Change
from api.live.service import Follower, Subscription
from api.live.subrequest import SERVER_ERROR, run_subrequest
from database.statements import capture_relations

log = logging.getLogger(__name__)

OK, NOT_MODIFIED = 200, 304
DELTA = "delta"
"""A parameter of the stream. The query itself does not get it."""

_REPLACED_HEADERS = {b"accept", b"if-none-match", b"last-event-id", b"x-request-id"}


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a query. Only one with status 200 and an `etag` can be followed."""

    start: Message
    body: bytes
    etag: str | None
    scope: Scope
    """The scope of the request after it ran: it has the route and the authenticated user."""

    @property
    def can_be_followed(self) -> bool:
        """Whether this is a result that may change, and not an error or a file."""
        return self.start["status"] == OK and self.etag is not None


class Reader:
    """One stream of a query. `changed` is set when the query has a result that was not sent yet."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()


class SharedQuery:
    """One query with one credential. It runs once for all its readers, and not more often than its rate."""

    def __init__(
        self, app: ASGIApp, scope: Scope, subscription: Subscription, follower: Follower, run_limit: asyncio.Semaphore
    ) -> None:
        # A copy of the state: each run authenticates anew and writes its user there.
        self._scope: Scope = {**scope, "state": dict(scope.get("state") or {})}
        self._app, self._subscription, self._follower = app, subscription, follower
        self._run_limit = run_limit
        self.readers: set[Reader] = set()
        self.result: Result | None = None
        self.change: Change | None = None
        """The change from the previous result to this one."""
        # Numbers of runs: the last that a caller needs, the last that started, and the last that finished.
        self._requested = self._started = self._finished = 0
        self._run_finished = asyncio.Condition()
        self._error_result: Result | None = None
        self._exception: Exception | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the query will not run again."""
        return self._subscription.has_ended

    async def get_fresh_result(self) -> Result | None:
        """Return the result of a run that starts after this call. Simultaneous callers share the run.

        A status from 500 on means that the server cannot answer now. Returns None when the process stops, and raises
        the exception of a run that failed.
        """
        async with self._run_finished:
            needed = self._requested = self._started + 1
            self._subscription.woken.set()
            await self._run_finished.wait_for(
                lambda: self._finished >= needed or self._exception is not None or self.has_ended
            )
        if self._exception is not None:
            raise self._exception
        if self._error_result is not None:
            return self._error_result
        return self.result if self._finished >= needed else None

    async def run(self, seconds_between: float) -> None:
        """Run the query whenever its result may have changed, until cancelled.

        Runs are at least `seconds_between` apart, except that a new reader gets a run at once.
        """
        started_at = -seconds_between
        try:
            while True:
                await self._subscription.woken.wait()
                if self._requested <= self._started:
                    await self._throttle(started_at + seconds_between - time.monotonic())
                self._subscription.woken.clear()
                if self.has_ended:
                    break
                started_at = time.monotonic()
                self._started += 1
                self._store(await self._execute())
                async with self._run_finished:
                    self._finished = self._started
                    self._run_finished.notify_all()
        except Exception as error:
            log.exception("A live query failed.")
            self._exception = error
        finally:
            self._subscription.end()
            self._notify_readers()
            async with self._run_finished:
                self._run_finished.notify_all()

    async def _throttle(self, seconds: float) -> None:
        """Wait, but no longer than until a new reader joins or the query ends."""
        until = time.monotonic() + seconds
        while (remaining := until - time.monotonic()) > 0 and self._requested <= self._started and not self.has_ended:
            self._subscription.woken.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(remaining):
                    await self._subscription.woken.wait()

    def _store(self, result: Result) -> None:
        """Store a result that differs from the last one, and notify the readers."""
        status = result.start["status"]
        if self.result is not None and status < SERVER_ERROR and _user(self.result.scope) != _user(result.scope):
            # The user's role has changed: the streams end, and their clients connect again.
            self._subscription.end()
        if self.result is not None and status == NOT_MODIFIED:
            return
        if self.result is not None and status >= SERVER_ERROR:
            # The streams end, and their clients connect again with the tag of their last result.
            self._error_result = result
            self._subscription.end()
            return
        self.change = _change(self.result, result)
        self.result = result
        self._notify_readers()

    def _notify_readers(self) -> None:
        for reader in self.readers:
            reader.changed.set()

    async def _execute(self) -> Result:
        """Run the GET inside the process with the caller's credential; status 304 if the result is unchanged."""
        tag = self.result.etag if self.result is not None and self.result.etag else ""
        headers = [(name, value) for name, value in self._scope["headers"] if name not in _REPLACED_HEADERS]
        headers += [(b"accept", b"application/json"), (b"if-none-match", tag.encode("latin-1"))]
        state = dict(self._scope.get("state") or {})
        scope: Scope = {**self._scope, "headers": headers, "state": state, "query_string": build_query(self._scope)}
        with capture_relations() as names:
            async with self._run_limit:
                answer = await run_subrequest(self._app, scope)
        scopes = [state[name] for name in ("workspace_id", "account_id") if state.get(name) is not None]
        if answer.status in {OK, NOT_MODIFIED}:
            self._follower.narrow(self._subscription, scopes, names)
        return Result(answer.start, answer.body, answer.headers.get("etag"), scope)


def _change(before: Result | None, after: Result) -> Change | None:
    return None if before is None or before.etag is None else Change(before.etag, before.body, after.body)


def _user(scope: Scope) -> object:
    state = scope.get("state") or {}
    return state.get("user_id"), state.get("role")


def build_query(scope: Scope) -> bytes:
    """Return the query string without the parameters of the stream."""
    query_string: bytes = scope.get("query_string", b"")
    parameters = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    own = [(name, value) for name, value in parameters if name != DELTA]
    return query_string if len(own) == len(parameters) else urlencode(own, encoding="latin-1").encode()


class SharedQueries:
    """The live queries of this process, each shared by the streams with the same URL and credential."""

    def __init__(self, app: ASGIApp, *, results_per_second: float, max_concurrent_runs: int) -> None:
        self._app, self._run_limit = app, asyncio.Semaphore(max_concurrent_runs)
        self._seconds_between = 1 / results_per_second
        self._shared: dict[tuple[object, ...], SharedQuery] = {}
        self._running: dict[tuple[object, ...], tuple[asyncio.Task[None], ExitStack]] = {}

    @asynccontextmanager
    async def read(self, scope: Scope, follower: Follower) -> AsyncIterator[tuple[SharedQuery, Reader]]:
        """Join or start the query of a request, and read it while the block runs."""
        key = _sharing_key(scope)
        query = self._shared.get(key)
        if query is None or query.has_ended:
            query = self._start(key, scope, follower)
        reader = Reader()
        query.readers.add(reader)
        try:
            yield query, reader
        finally:
            query.readers.discard(reader)
            if not query.readers and self._shared.get(key) is query:
                self._end(key)

    def _start(self, key: tuple[object, ...], scope: Scope, follower: Follower) -> SharedQuery:
        if key in self._running:
            self._end(key)
        stack = ExitStack()
        subscription = stack.enter_context(follower.subscribe())
        query = SharedQuery(self._app, scope, subscription, follower, self._run_limit)
        self._shared[key] = query
        self._running[key] = (asyncio.create_task(query.run(self._seconds_between)), stack)
        return query

    def _end(self, key: tuple[object, ...]) -> None:
        del self._shared[key]
        task, stack = self._running.pop(key)
        task.cancel()
        stack.close()


def _sharing_key(scope: Scope) -> tuple[object, ...]:
    """Return the key of a query: requests with equal keys have equal results."""
    return scope["path"], build_query(scope), Headers(scope=scope).get("authorization")

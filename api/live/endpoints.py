"""HTTP for live queries: with `Accept: text/event-stream` every GET under /api answers its result again and again.

The stream asks the very same GET, inside the process, with the caller's credentials: so each result was authorised when
it was made, and whatever the GET may be asked can be subscribed to.
"""

import asyncio
import contextlib
import logging
import re
import time
from dataclasses import dataclass
from uuid import UUID

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.live.service import Follower, Subscription

log = logging.getLogger(__name__)

EVENT_STREAM = "text/event-stream"
RETRY_MILLISECONDS = 2000
WORKSPACE = re.compile(r"/api/(?:workspaces|metrics)/([0-9a-fA-F-]{36})(?:/|$)")
OK, NOT_MODIFIED, SERVER_ERROR = 200, 304, 500

_REPLACED = {b"accept", b"if-none-match", b"last-event-id"}


@dataclass(frozen=True, slots=True)
class _Pace:
    """The shortest time between two results, and the longest silence."""

    seconds_between: float
    heartbeat_seconds: float


class LiveQueries:
    """Turns GETs that accept an event stream into subscriptions; needs `app.state.follower`."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        results_per_second: float = 10.0,
        runs_at_once: int = 10,
        heartbeat_seconds: float = 15.0,
    ) -> None:
        self._app, self._turn = app, asyncio.Semaphore(runs_at_once)
        self._pace = _Pace(1 / results_per_second, heartbeat_seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as a stream if it asks for one."""
        if scope["type"] == "http" and scope["method"] == "GET" and _wants_stream(scope):
            follower: Follower = scope["app"].state.follower
            with follower.subscribe(_workspace_of(scope["path"])) as subscription:
                query = _Query(self._app, scope, self._turn)
                await _stream(query, subscription, receive, send, self._pace)
        else:
            await self._app(scope, receive, send)


def _wants_stream(scope: Scope) -> bool:
    accepted = Headers(scope=scope).get("accept", "")
    named = {one.partition(";")[0].strip().lower() for one in accepted.split(",")}
    return EVENT_STREAM in named and scope["path"].startswith("/api/")


def _workspace_of(path: str) -> UUID | None:
    found = WORKSPACE.match(path)
    with contextlib.suppress(ValueError):
        return UUID(found[1]) if found else None
    return None


@dataclass(frozen=True, slots=True)
class _Answer:
    start: Message
    body: bytes

    @property
    def status(self) -> int:
        return int(self.start["status"])

    @property
    def etag(self) -> str | None:
        return Headers(raw=self.start["headers"]).get("etag")


class _Query:
    """A GET that can be asked again; `etag` is the last answer the client has."""

    def __init__(self, app: ASGIApp, scope: Scope, turn: asyncio.Semaphore) -> None:
        self._app, self._scope, self._turn = app, scope, turn
        self.etag = Headers(scope=scope).get("last-event-id", "")

    async def ask(self) -> _Answer:
        """Return the answer as it is now, with status 304 when the client has it."""
        kept = [(name, value) for name, value in self._scope["headers"] if name not in _REPLACED]
        asked = [(b"accept", b"application/json"), (b"if-none-match", self.etag.encode("latin-1"))]
        scope = {**self._scope, "headers": [*kept, *asked]}
        start: Message = {"status": SERVER_ERROR, "headers": []}
        body = bytearray()

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
            else:
                body.extend(message.get("body", b""))

        async with self._turn:
            await self._app(scope, receive, send)
        # What was found out about the request belongs in its line of the log.
        self._scope.update({name: scope[name] for name in ("route", "path_params") if name in scope})
        answer = _Answer(start, bytes(body))
        if answer.status == OK and answer.etag:
            self.etag = answer.etag
        return answer


async def _stream(query: _Query, subscription: Subscription, receive: Receive, send: Send, pace: _Pace) -> None:
    """Send results until the client goes, the process stops, or the query is refused."""
    answer = await query.ask()
    if answer.status != NOT_MODIFIED and not (answer.status == OK and answer.etag):
        await send(answer.start)
        await send({"type": "http.response.body", "body": answer.body})
        return
    headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": OK, "headers": [*headers, (b"x-accel-buffering", b"no")]})
    await _send_text(send, f"retry: {RETRY_MILLISECONDS}\n\n")
    watching = asyncio.create_task(_end_on_disconnect(receive, subscription))
    try:
        while answer.status in {OK, NOT_MODIFIED}:
            sent_at = time.monotonic()
            if answer.status == OK:
                await _send_text(send, f"id: {query.etag}\ndata: {answer.body.decode()}\n\n")
            await _wait(subscription, send, pace.heartbeat_seconds)
            if not subscription.has_ended:
                await asyncio.sleep(max(0.0, sent_at + pace.seconds_between - time.monotonic()))
            subscription.woken.clear()
            if subscription.has_ended:
                break
            answer = await query.ask()
        else:
            await _send_text(send, f"event: problem\ndata: {answer.body.decode()}\n\n")
    except Exception:
        # The headers are out; a clean end makes the client come back, with the last id it has.
        log.exception("A live query failed.")
    finally:
        watching.cancel()
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _wait(subscription: Subscription, send: Send, heartbeat_seconds: float) -> None:
    """Return when the subscription is woken; until then keep the line from looking dead."""
    while not subscription.woken.is_set():
        try:
            async with asyncio.timeout(heartbeat_seconds):
                await subscription.woken.wait()
        except TimeoutError:
            await _send_text(send, ": alive\n\n")


async def _end_on_disconnect(receive: Receive, subscription: Subscription) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    subscription.end()


async def _send_text(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

"""With `Accept: text/event-stream` every GET under /api answers its result again and again.

The stream asks the very same GET, inside the process, with the caller's credentials: so each result was authorised when
it was made, and whatever the GET may be asked can be subscribed to.
"""

import asyncio
import itertools
import time
from dataclasses import dataclass, replace
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.errors import problem_response
from api.live.patches import Change
from api.live.queries import DELTA, OK, Reader, Result, SharedQueries, SharedQuery
from api.live.service import Follower

EVENT_STREAM = "text/event-stream"
JSON_PATCH = "json-patch"
RETRY_MILLISECONDS = 2000
LEAVE_EARLY, GOLDEN = 0.1, 0.618
"""By up to which share of its time a stream ends early, and the steps that spread streams evenly over it."""
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


@dataclass(frozen=True, slots=True)
class Pace:
    """How a stream behaves in time, in seconds."""

    between: float = 0.1
    """The shortest time between two results."""
    heartbeat: float = 15.0
    """The longest silence."""
    longest: float = 900.0
    """After this long, or up to a tenth less, a stream ends by itself, and its client comes back."""


class LiveQueries:
    """Turns GETs that accept an event stream into subscriptions; needs `app.state.follower`."""

    def __init__(self, app: ASGIApp, *, runs_at_once: int = 10, pace: Pace | None = None) -> None:
        self._app, self._pace, self._streams = app, pace or Pace(), itertools.count()
        self._queries = SharedQueries(app, results_per_second=1 / self._pace.between, runs_at_once=runs_at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as a stream if it asks for one."""
        if scope["type"] == "http":
            scope.setdefault("state", {})["within"] = self._app
        if scope["type"] != "http" or scope["method"] != "GET" or not _wants_stream(scope):
            await self._app(scope, receive, send)
            return
        try:
            by_patch = _wants_patches(scope)
        except ValueError as error:
            await problem_response(Request(scope), 422, "malformed", str(error))(scope, receive, send)
            return
        follower: Follower = scope["app"].state.follower
        async with self._queries.read(scope, follower) as (query, reader):
            first = await query.fresh()
            if first is None:
                sentence = "The service is about to stop; come back."
                await problem_response(Request(scope), 503, "stopping", sentence)(scope, receive, send)
                return
            # What was found out about the request belongs in its line of the log.
            scope.update({name: first.scope[name] for name in ("route", "path_params") if name in first.scope})
            scope.setdefault("state", {}).update(first.scope["state"])
            if not first.can_be_followed:
                await send(first.start)
                await send({"type": "http.response.body", "body": first.body})
                return
            await send({"type": "http.response.start", "status": OK, "headers": HEADERS})
            known = Headers(scope=scope).get("last-event-id", "")
            # So that those who came at once, after a restart, do not all leave at once.
            longest = self._pace.longest * (1 - LEAVE_EARLY * (next(self._streams) * GOLDEN % 1))
            pace = replace(self._pace, longest=longest)
            await _Stream(query, reader, send, pace, known, by_patch).run(receive)


def _wants_stream(scope: Scope) -> bool:
    accepted = Headers(scope=scope).get("accept", "")
    named = {one.partition(";")[0].strip().lower() for one in accepted.split(",")}
    return EVENT_STREAM in named and scope["path"].startswith("/api/")


def _wants_patches(scope: Scope) -> bool:
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True).get(DELTA, [])
    if asked and asked != [JSON_PATCH]:
        raise ValueError(f"`{DELTA}` can only be `{JSON_PATCH}`; leave it out for whole results.")
    return bool(asked)


class _Stream:
    """One client's view of a query: it is sent the state as it is when it can take it, and none twice."""

    def __init__(self, query: SharedQuery, reader: Reader, send: Send, pace: Pace, known: str, by_patch: bool) -> None:
        self._query, self._reader, self._send, self._pace = query, reader, send, pace
        self._known, self._by_patch = known, by_patch
        self._is_gone = self._is_silent = False
        self._sent_at = time.monotonic()
        self._until = self._sent_at + pace.longest

    async def run(self, receive: Receive) -> None:
        """Send results until the client goes, the process stops, the query is refused, or it is time to come back."""
        watching = asyncio.create_task(self._watch(receive))
        self._look_out()
        try:
            await self._write(b"retry: %d\n\n" % RETRY_MILLISECONDS)
            while not self._is_gone and time.monotonic() < self._until:
                self._reader.changed.clear()
                result = self._query.result
                assert result is not None
                if not result.can_be_followed:
                    await self._write(b"event: problem\ndata: %b\n\n" % result.body)
                    break
                if self._query.has_ended:
                    break
                if result.etag != self._known:
                    await self._write(await self._event_of(result, self._query.change))
                    # Whoever reads slowly is waited for with empty hands, and then sent what is so by then.
                    await self._write(b"")
                elif self._is_silent:
                    await self._write(b": alive\n\n")
                await self._reader.changed.wait()
                if (early := self._sent_at + self._pace.between - time.monotonic()) > 0:
                    await asyncio.sleep(early)
            await self._send({"type": "http.response.body", "body": b""})
        finally:
            watching.cancel()
            self._looking.cancel()

    async def _event_of(self, result: Result, change: Change | None) -> bytes:
        """Return the event that brings a result, or what has changed in it, and note that the client has it."""
        assert result.etag is not None
        patch = await change.patch_from(self._known) if self._by_patch and change is not None else None
        self._known = result.etag
        tag = result.etag.encode()
        if patch is not None:
            return b"event: patch\nid: %b\ndata: %b\n\n" % (tag, patch)
        return b"id: %b\ndata: %b\n\n" % (tag, result.body)

    def _look_out(self) -> None:
        """Wake the stream when its line has been silent for long enough, or its time is over.

        Put off when it comes too early, rather than set anew with each event: that costs as much as the event.
        """
        now = time.monotonic()
        due = min(self._sent_at + self._pace.heartbeat, self._until)
        if due <= now:
            self._is_silent = True
            self._reader.changed.set()
            due = now + self._pace.heartbeat
        self._looking = asyncio.get_running_loop().call_later(due - now, self._look_out)

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        self._reader.changed.set()

    async def _write(self, body: bytes) -> None:
        self._sent_at, self._is_silent = time.monotonic(), False
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

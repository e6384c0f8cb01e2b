"""Streams the results of a GET under /api as server-sent events, for clients that send `Accept: text/event-stream`.

The stream runs the same GET inside the process with the caller's credentials. So each result is authorised when it is
made, and a client can subscribe to every GET with all of its parameters.
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
from api.live.queries import DELTA, OK, Reader, Result, SharedQueries, SharedQuery, build_query
from api.live.service import Follower

EVENT_STREAM = "text/event-stream"
JSON_PATCH = "json-patch"
RETRY_MILLISECONDS = 2000
EARLY_END_SHARE, GOLDEN_RATIO = 0.1, 0.618
"""The largest share of its lifetime by which a stream ends early, and the step that spreads streams evenly over it."""
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


@dataclass(frozen=True, slots=True)
class Pace:
    """The times of a stream, in seconds."""

    interval: float = 0.1
    """The shortest time between two results."""
    heartbeat: float = 15.0
    """The longest time without any event or comment."""
    lifetime: float = 900.0
    """The stream ends after this time, or up to a tenth earlier, and its client reconnects."""


class LiveQueries:
    """Turns GETs that accept an event stream into subscriptions; needs `app.state.follower`."""

    def __init__(self, app: ASGIApp, *, max_concurrent_runs: int = 10, pace: Pace | None = None) -> None:
        self._app, self._pace, self._stream_numbers = app, pace or Pace(), itertools.count()
        self._queries = SharedQueries(
            app, results_per_second=1 / self._pace.interval, max_concurrent_runs=max_concurrent_runs
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as a stream if it accepts one."""
        if scope["type"] == "http":
            scope.setdefault("state", {})["within"] = self._app
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        try:
            with_patches = _wants_patches(scope)
        except ValueError as error:
            await problem_response(Request(scope), 422, "malformed", str(error))(scope, receive, send)
            return
        if not _wants_stream(scope):
            scope["query_string"] = build_query(scope)  # The same URL answers once.
            await self._app(scope, receive, send)
            return
        follower: Follower = scope["app"].state.follower
        async with self._queries.read(scope, follower) as (query, reader):
            first = await query.get_fresh_result()
            if first is None:
                sentence = "The service is about to stop. Try again."
                await problem_response(Request(scope), 503, "stopping", sentence)(scope, receive, send)
                return
            # The request log needs the route and the user of this request.
            scope.update({name: first.scope[name] for name in ("route", "path_params") if name in first.scope})
            scope.setdefault("state", {}).update(first.scope["state"])
            if not first.can_be_followed:
                await send(first.start)
                await send({"type": "http.response.body", "body": first.body})
                return
            await send({"type": "http.response.start", "status": OK, "headers": HEADERS})
            sent_etag = Headers(scope=scope).get("last-event-id", "")
            # Clients that connected together, after a restart, must not all reconnect at the same time.
            early = EARLY_END_SHARE * (next(self._stream_numbers) * GOLDEN_RATIO % 1)
            pace = replace(self._pace, lifetime=self._pace.lifetime * (1 - early))
            await _Stream(query, reader, send, pace, sent_etag, with_patches).run(receive)


def _wants_stream(scope: Scope) -> bool:
    accepted = Headers(scope=scope).get("accept", "")
    media_types = {media_range.partition(";")[0].strip().lower() for media_range in accepted.split(",")}
    return EVENT_STREAM in media_types


def _wants_patches(scope: Scope) -> bool:
    formats = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True).get(DELTA, [])
    if formats and formats != [JSON_PATCH]:
        raise ValueError(f"`{DELTA}` can only be `{JSON_PATCH}`; leave it out for whole results.")
    return bool(formats)


class _Stream:
    """The stream of one client: it sends the newest result when the client can receive it, and none twice."""

    def __init__(
        self, query: SharedQuery, reader: Reader, send: Send, pace: Pace, sent_etag: str, with_patches: bool
    ) -> None:
        self._query, self._reader, self._send, self._pace = query, reader, send, pace
        self._sent_etag, self._with_patches = sent_etag, with_patches
        self._is_disconnected = self._needs_heartbeat = False
        self._sent_at = time.monotonic()
        self._until = self._sent_at + pace.lifetime

    async def run(self, receive: Receive) -> None:
        """Send results until the client disconnects, the process stops, the query fails, or the lifetime ends."""
        watching = asyncio.create_task(self._wait_for_disconnect(receive))
        self._set_timer()
        try:
            await self._write(b"retry: %d\n\n" % RETRY_MILLISECONDS)
            while not self._is_disconnected and time.monotonic() < self._until:
                self._reader.changed.clear()
                result = self._query.result
                assert result is not None
                if not result.can_be_followed:
                    await self._write(b"event: problem\ndata: %b\n\n" % result.body)
                    break
                if self._query.has_ended:
                    break
                if result.etag != self._sent_etag:
                    await self._write(await self._to_event(result, self._query.change))
                    # This waits until a slow client has read, so that it then gets the newest result.
                    await self._write(b"")
                elif self._needs_heartbeat:
                    await self._write(b": alive\n\n")
                await self._reader.changed.wait()
                if (early := self._sent_at + self._pace.interval - time.monotonic()) > 0:
                    await asyncio.sleep(early)
            await self._send({"type": "http.response.body", "body": b""})
        finally:
            watching.cancel()
            self._timer.cancel()

    async def _to_event(self, result: Result, change: Change | None) -> bytes:
        """Return the event with a result or its patch, and record that the client has the result."""
        assert result.etag is not None
        patch = await change.patch_from(self._sent_etag) if self._with_patches and change is not None else None
        self._sent_etag = result.etag
        tag = result.etag.encode()
        if patch is not None:
            return b"event: patch\nid: %b\ndata: %b\n\n" % (tag, patch)
        return b"id: %b\ndata: %b\n\n" % (tag, result.body)

    def _set_timer(self) -> None:
        """Wake the stream for its next heartbeat, or at the end of its lifetime.

        A timer that fires too early is set again. Setting it anew with each event would cost as much as the event.
        """
        now = time.monotonic()
        wake_at = min(self._sent_at + self._pace.heartbeat, self._until)
        if wake_at <= now:
            self._needs_heartbeat = True
            self._reader.changed.set()
            wake_at = now + self._pace.heartbeat
        self._timer = asyncio.get_running_loop().call_later(wake_at - now, self._set_timer)

    async def _wait_for_disconnect(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._is_disconnected = True
        self._reader.changed.set()

    async def _write(self, body: bytes) -> None:
        self._sent_at, self._needs_heartbeat = time.monotonic(), False
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

"""Middleware of every request: request id, log line, size limit, rate limit and ETag."""

import hashlib
import logging
import math
import re
import time
import uuid
from typing import Any

from fastapi import Request
from limits import RateLimitItem
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.errors import TooManyRequests, problem_response

log = logging.getLogger(__name__)

REQUEST_ID = re.compile(r"[\w.:-]{1,100}", re.ASCII)
MEGABYTE = 1024 * 1024
_PROXY_MARKS = re.compile(r'(?:;|--?)(?:gzip|deflate|br|zstd)"$')


class RequestLog:
    """Gives each request an id, logs it, and answers unexpected errors with 500."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; its id is in `request.state.request_id` and in the header X-Request-Id."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        given_id = request.headers.get("X-Request-Id", "")
        request.state.request_id = given_id if REQUEST_ID.fullmatch(given_id) else uuid.uuid4().hex
        status, started = 0, time.perf_counter()

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request.state.request_id
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        except Exception:
            log.exception("Request %s failed.", request.state.request_id, extra={"fields": _fields(request)})
            if status:
                raise  # The response has begun: only a broken connection can show the error.
            sentence = "An unexpected error occurred. Give the request id when you report it."
            await problem_response(request, 500, "internal_error", sentence)(scope, receive, send_named)
        finally:
            milliseconds = round((time.perf_counter() - started) * 1000, 1)
            fields = {**_fields(request), "status": status, "milliseconds": milliseconds}
            log.info("request", extra={"fields": fields})


def _fields(request: Request) -> dict[str, Any]:
    """Return the logged fields of a request; the path is the route's template, which contains no secret."""
    route = request.scope.get("route")
    fields = {
        "request_id": request.state.request_id,
        "method": request.method,
        "path": getattr(route, "path", None),
        "account_id": getattr(request.state, "account_id", None),
        "workspace_id": request.path_params.get("workspaceId"),
    }
    return {name: value if value is None else str(value) for name, value in fields.items()}


class BodyLimit:
    """Refuses a body above the limit, by its Content-Length or while it is read."""

    def __init__(self, app: ASGIApp, *, megabytes: int, json_megabytes: int) -> None:
        self._app, self._megabytes, self._json_megabytes = app, megabytes, json_megabytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or answer 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        is_json = "json" in headers.get("content-type", "json")
        # An uploaded file is stored on disk before the request is authenticated.
        is_anonymous = _needs_credential(scope) and "authorization" not in headers
        megabytes = self._json_megabytes if is_json or is_anonymous else self._megabytes
        sentence = f"The request is larger than the limit of {megabytes} MB."
        announced = headers.get("content-length", "")
        if announced.isdecimal() and _is_more(announced, megabytes * MEGABYTE):
            await problem_response(Request(scope), 413, "too_large", sentence)(scope, receive, send)
            return
        seen = 0

        async def receive_counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > megabytes * MEGABYTE:
                raise HTTPException(413, sentence)
            return message

        await self._app(scope, receive_counted, send)


def _is_more(announced: str, most: int) -> bool:
    """Return whether a number of any length is larger, without converting digits that Python may refuse."""
    digits = announced.lstrip("0")
    return len(digits) > len(str(most)) or int(digits or "0") > most


def _needs_credential(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.startswith("/api/") and not path.startswith("/api/webhooks/")


class RateLimit:
    """Refuses a credential that exceeds its rate limit, and returns the remaining calls in each response.

    Each process counts by itself and before any query, so several processes allow a multiple of the limit.
    """

    def __init__(self, app: ASGIApp, *, limit: RateLimitItem) -> None:
        self._app, self._limit = app, limit
        self._policy = f"{limit.amount};w={limit.get_expiry()}"
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or answer 429; a request without a credential is not counted."""
        credential = Headers(scope=scope).get("authorization") if scope["type"] == "http" else None
        if credential is None or not _needs_credential(scope):
            await self._app(scope, receive, send)
            return
        caller = hashlib.blake2b(credential.encode(), digest_size=16).hexdigest()
        is_allowed = await self._limiter.hit(self._limit, caller)
        resets_at, remaining = await self._limiter.get_window_stats(self._limit, caller)
        seconds = str(max(1, math.ceil(resets_at - time.time())))

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["RateLimit-Limit"], headers["RateLimit-Policy"] = str(self._limit.amount), self._policy
                headers["RateLimit-Remaining"], headers["RateLimit-Reset"] = str(remaining), seconds
                if not is_allowed:
                    headers["Retry-After"] = seconds
            await send(message)

        if is_allowed:
            await self._app(scope, receive, send_counted)
        else:
            sentence = f"The rate limit of this key is {self._limit}. Try again in {seconds} s."
            refusal = problem_response(Request(scope), TooManyRequests.status, TooManyRequests.code, sentence)
            await refusal(scope, receive, send_counted)


class Etags:
    """Adds an ETag to every successful JSON response, and answers 304 to a GET that names it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; a JSON response is buffered until it is complete."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        body = bytearray()

        async def send_tagged(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_json(message):
                start = message
            elif start is None:
                await send(message)
            else:
                body.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    await _send_whole(scope, start, bytes(body), send)

        await self._app(scope, receive, send_tagged)


def _is_json(start: Message) -> bool:
    content_type = Headers(raw=start["headers"]).get("content-type", "")
    return start["status"] in {200, 201} and content_type.partition(";")[0] == "application/json"


def etag_of(body: bytes) -> str:
    """Return the strong entity tag of a body."""
    return f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


def parse_etags(header: str) -> set[str]:
    """Return the tags of an If-Match or If-None-Match header as we wrote them.

    All our tags are strong. A proxy that compresses marks them as weak (nginx) or appends the compression (Apache), so
    these marks are removed, also for If-Match.
    """
    return {_PROXY_MARKS.sub('"', tag.strip().removeprefix("W/")) for tag in header.split(",")}


def matches_etag(if_none_match: str, etag: str) -> bool:
    """Return whether an If-None-Match header names the tag."""
    named = parse_etags(if_none_match)
    return "*" in named or etag in named


async def _send_whole(scope: Scope, start: Message, body: bytes, send: Send) -> None:
    headers = MutableHeaders(scope=start)
    headers.setdefault("ETag", etag_of(body))
    headers.setdefault("Cache-Control", "private, no-cache")
    headers.add_vary_header("Accept")
    headers.add_vary_header("Authorization")
    if scope["method"] == "GET" and matches_etag(Headers(scope=scope).get("if-none-match", ""), headers["ETag"]):
        start["status"], body = 304, b""
        del headers["content-type"]
        del headers["content-length"]
    await send(start)
    await send({"type": "http.response.body", "body": body})

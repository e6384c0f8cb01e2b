"""How Prometheus looks into a process: GET /metrics on the API and on the worker's own port, and timed requests."""

import asyncio
import hmac
import ipaddress
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import uvicorn
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.errors import Forbidden, Unauthorized, problem_response
from api.telemetry.service import Queue, RequestMetrics, render_metrics

PATH = "/metrics"
STOP_WITHIN_SECONDS = 1
FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-real-ip")
"""What a proxy adds: a request that has one comes from elsewhere, though its connection may be from this machine."""


@dataclass(frozen=True, slots=True)
class Scrapes:
    """What /metrics answers, and to whom: with a token to who knows it, without one to this machine alone."""

    registry: CollectorRegistry
    queue: Queue
    token: SecretStr | None

    async def answer(self, request: Request) -> Response:
        """Answer a scrape, or a problem: 401 without the token, 403 from elsewhere where none is set."""
        if self.token is None:
            if not _is_local(request):
                sentence = "Set SALESMATTER_METRICS_TOKEN to read metrics from another machine."
                return problem_response(request, Forbidden.status, Forbidden.code, sentence)
        elif not _is_known(request, self.token.get_secret_value()):
            sentence = "Send `Authorization: Bearer <SALESMATTER_METRICS_TOKEN>`."
            return problem_response(request, Unauthorized.status, Unauthorized.code, sentence)
        body, content_type = await render_metrics(self.registry, self.queue, request.headers.get("Accept", ""))
        return Response(body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})


def _is_known(request: Request, token: str) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


def _is_local(request: Request) -> bool:
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


async def _metrics(request: Request) -> Response:
    scrapes: Scrapes = request.app.state.scrapes
    return await scrapes.answer(request)


def install(app: Starlette) -> None:
    """Add GET /metrics, which needs `app.state.scrapes`; it is no part of the API's contract."""
    app.add_route(PATH, _metrics, include_in_schema=False)


class RequestTimes:
    """Counts and times what is answered; a live query by the start of its stream."""

    def __init__(self, app: ASGIApp, *, metrics: RequestMetrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", None)
                self._metrics.answered(route, scope["method"], message["status"], time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, send_counted)


class _Server(uvicorn.Server):
    """A server beside other work, which is who is told to stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the worker."""
        yield


@asynccontextmanager
async def serve_metrics(scrapes: Scrapes, port: int) -> AsyncIterator[int]:
    """Serve GET /metrics and nothing else, and yield the port (0 takes a free one); raises OSError when it is taken.

    Without a token only this machine may look, so only it can connect.
    """
    app = Starlette()
    app.state.scrapes = scrapes
    install(app)
    host = "127.0.0.1" if scrapes.token is None else "0.0.0.0"  # noqa: S104 - a token guards it
    with socket.create_server((host, port)) as listener:
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=STOP_WITHIN_SECONDS,
        )
        server = _Server(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            await running

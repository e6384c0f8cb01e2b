"""GET /metrics for Prometheus, on the API and on the worker's own port, and the middleware that times requests."""

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
from api.telemetry.service import QueueMetrics, RequestMetrics, render_metrics

PATH = "/metrics"
STOP_WITHIN_SECONDS = 1
FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-real-ip")
"""Headers that a proxy adds. A request with one of them may come from another machine."""


@dataclass(frozen=True, slots=True)
class MetricsEndpoint:
    """The response of /metrics, and its access: with a token for callers that send it, without one for this machine."""

    registry: CollectorRegistry
    queue: QueueMetrics
    token: SecretStr | None

    async def respond(self, request: Request) -> Response:
        """Return the metrics, or a problem: 401 without the token, 403 from another machine if no token is set."""
        if self.token is None:
            if not _is_from_this_machine(request):
                sentence = "Set SALESMATTER_METRICS_TOKEN to read metrics from another machine."
                return problem_response(request, Forbidden.status, Forbidden.code, sentence)
        elif not _has_token(request, self.token.get_secret_value()):
            sentence = "Send `Authorization: Bearer <SALESMATTER_METRICS_TOKEN>`."
            return problem_response(request, Unauthorized.status, Unauthorized.code, sentence)
        body, content_type = await render_metrics(self.registry, self.queue, request.headers.get("Accept", ""))
        return Response(body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})


def _has_token(request: Request, token: str) -> bool:
    scheme, _, sent_token = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(sent_token.strip().encode(), token.encode())


def _is_from_this_machine(request: Request) -> bool:
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


async def _metrics(request: Request) -> Response:
    metrics_endpoint: MetricsEndpoint = request.app.state.metrics_endpoint
    return await metrics_endpoint.respond(request)


def install(app: Starlette) -> None:
    """Add GET /metrics, which needs `app.state.metrics_endpoint`. It is not part of the OpenAPI document."""
    app.add_route(PATH, _metrics, include_in_schema=False)


class RequestTimes:
    """Counts and times responses. The time of a live query ends when its stream starts."""

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
    """A server inside a worker, which handles the signals of the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers."""
        yield


@asynccontextmanager
async def serve_metrics(metrics_endpoint: MetricsEndpoint, port: int) -> AsyncIterator[int]:
    """Serve only GET /metrics, and yield the port (0 takes a free one); raises OSError when the port is in use.

    Without a token it listens on the loopback address, because only this machine may read the metrics.
    """
    app = Starlette()
    app.state.metrics_endpoint = metrics_endpoint
    install(app)
    host = "127.0.0.1" if metrics_endpoint.token is None else "0.0.0.0"  # noqa: S104 - a token guards it
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

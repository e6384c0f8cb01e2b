"""The HTTP service: the app with all routers and middleware."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from sqlalchemy.engine import URL

from ai.settings import AiSettings
from api.http import documentation, errors, openapi
from api.http.middleware import BodyLimit, Etags, RateLimit, RequestLog
from api.http.pagination import Cursors
from api.http.resources import open_services
from api.live.service import follow_changes
from api.live.streaming import LiveQueries, Pace
from api.routes import ROUTERS
from api.settings import ApiSettings, OidcSettings
from api.tasks import tasks
from api.telemetry import scraping
from api.telemetry.scraping import MetricsEndpoint, RequestTimes
from api.telemetry.service import RequestMetrics, process_registry, watch_queue
from database.roles import owner_url
from database.settings import DatabaseSettings

EXPOSED_HEADERS = [
    "ETag",
    "Idempotency-Replayed",
    "RateLimit-Limit",
    "RateLimit-Policy",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "X-Request-Id",
]
"""The response headers that a page of another origin may read."""

DESCRIPTION = """
Send `Authorization: Bearer <api key>`. Errors are RFC 9457 problems with a stable `code`.

Every GET under /api is also a live query: with `Accept: text/event-stream` the same URL sends its result at once and
again after each commit that changes it, as server-sent events whose `id` is the ETag of the result. With
`Last-Event-ID` a result that the client already has is not sent again. With `delta=json-patch` a change is sent as an
event `patch` (RFC 6902). An event `problem` tells why a stream ends. `GET /api/workspaces/{workspaceId}/live` runs many
GETs in one snapshot. Every JSON response to a GET has an ETag; with `If-None-Match` the status is 304 while the result
is unchanged.
"""


def create_app(
    settings: ApiSettings, ai: AiSettings, owner: URL, oidc: OidcSettings | None = None, *, direct: URL | None = None
) -> FastAPI:
    """Return the service. Its database pool, models and HTTP client open when it starts.

    `direct` reaches the database without a pooler, if `owner` goes through one.
    """
    registry = process_registry()
    job_types = [task.job_type for task in tasks(settings)]

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            open_services(settings, ai, owner, name="salesmatter-api", oidc=oidc) as services,
            follow_changes(owner, settings.poll_milliseconds / 1000, direct=direct) as follower,
            watch_queue(owner, services.clock, job_types, settings.lost_after_seconds) as queue,
        ):
            app.state.services, app.state.follower = services, follower
            app.state.metrics_endpoint = MetricsEndpoint(registry, queue, settings.metrics_token)
            yield

    app = FastAPI(
        title="SalesMatter",
        summary="Automated B2B outreach: leads, sequences, drafts, sending, replies, analytics.",
        description=DESCRIPTION,
        version="0.1.0",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.cursors = Cursors(settings.secret_key.get_secret_value())
    errors.install(app)
    _add_middleware(app, settings, RequestMetrics(registry))
    for router in ROUTERS:
        app.include_router(router)
    documentation.install(app)
    scraping.install(app)
    openapi.install(app)
    return app


def create_app_from_environment() -> FastAPI:
    """Return the service with settings from the environment, for `uvicorn --factory`."""
    database = DatabaseSettings()
    owner, direct = owner_url(database.owner_url()), owner_url(database.direct_url())
    return create_app(ApiSettings(), AiSettings(), owner, OidcSettings(), direct=direct)


def _add_middleware(app: FastAPI, settings: ApiSettings, metrics: RequestMetrics) -> None:
    """Add the middleware from the inside out: the last one added handles a request first."""
    app.add_middleware(BodyLimit, megabytes=settings.max_body_megabytes, json_megabytes=settings.max_json_megabytes)
    app.add_middleware(Etags)
    app.add_middleware(
        LiveQueries,
        max_concurrent_runs=max(1, settings.pool_size // 2),
        pace=Pace(interval=1 / settings.live_results_per_second, lifetime=settings.live_stream_seconds),
    )
    if settings.request_rate is not None:
        app.add_middleware(RateLimit, limit=settings.request_rate)
    app.add_middleware(RequestLog)
    app.add_middleware(RequestTimes, metrics=metrics)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
    )

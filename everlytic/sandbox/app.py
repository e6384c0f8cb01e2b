"""Builds the sandbox application: both Everlytic APIs and the control plane under one origin."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response

from everlytic.sandbox import bulk, control, tenant, v1
from everlytic.sandbox.access import RequestRejected
from everlytic.sandbox.clock import Clock
from everlytic.sandbox.scenarios import Behaviour
from everlytic.sandbox.simulation import Simulation


def create_app(clock: Clock, behaviour: Behaviour, inbound_url: str | None = None) -> FastAPI:
    """Build the application.

    ``behaviour`` applies to all usernames. ``inbound_url`` is the default URL for replies (``{username}`` is replaced).
    Connection resets need the server of ``__main__``.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.simulation.dispatcher.start()
        yield
        app.state.simulation.scheduler.stop()
        await app.state.simulation.dispatcher.stop()

    app = FastAPI(title="Everlytic sandbox", openapi_url=None, lifespan=lifespan)
    app.state.simulation = Simulation(clock, behaviour, inbound_url)
    app.state.usernames_by_header = {}
    app.state.transports = {}
    app.add_exception_handler(RequestRejected, _on_rejected)
    app.add_route(f"{v1.PREFIX}/mail", v1.send_mail, methods=["POST"])
    for router in (v1.router, tenant.router, bulk.router, control.router):
        app.include_router(router)
    return app


async def _on_rejected(request: Request, rejection: Exception) -> Response:  # noqa: ARG001 - the handler's signature
    assert isinstance(rejection, RequestRejected)
    return rejection.response

"""The sandbox as one application: both hosts of Everlytic and the control plane under one origin."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response

from everlytic.sandbox import bulk, control, tenant, v1
from everlytic.sandbox.clock import Clock
from everlytic.sandbox.gate import Refusal
from everlytic.sandbox.scenarios import Behaviour
from everlytic.sandbox.world import World


def create_app(clock: Clock, behaviour: Behaviour, inbound_url: str | None = None) -> FastAPI:
    """Build the application.

    ``behaviour`` holds for everyone; ``inbound_url`` (``{username}`` is filled in) is where replies go by default.
    Connection resets need the server of ``__main__``.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.world.postman.start()
        yield
        app.state.world.agenda.stop()
        await app.state.world.postman.stop()

    app = FastAPI(title="Everlytic sandbox", openapi_url=None, lifespan=lifespan)
    app.state.world = World(clock, behaviour, inbound_url)
    app.state.known = {}
    app.state.transports = {}
    app.add_exception_handler(Refusal, _refused)
    app.add_route(f"{v1.PREFIX}/mail", v1.send_mail, methods=["POST"])
    for router in (v1.router, tenant.router, bulk.router, control.router):
        app.include_router(router)
    return app


async def _refused(request: Request, refusal: Exception) -> Response:  # noqa: ARG001 - the handler's signature
    assert isinstance(refusal, Refusal)
    return refusal.response

"""Starts the sandbox: ``python -m everlytic.sandbox``; prints one JSON line ``{"url": …}`` when it is ready."""

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
import threading
from typing import Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from everlytic.sandbox.app import create_app
from everlytic.sandbox.clock import Clock
from everlytic.sandbox.scenarios import Behaviour, Scenario, listing, parse_switch


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="everlytic.sandbox", description="An Everlytic that nobody has to pay for.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--clock", help="<real epoch seconds>,<virtual ISO instant with offset>,<speed>")
    parser.add_argument("--start", metavar="INSTANT", help="where the clock begins that the control plane may advance")
    parser.add_argument("--seed", type=int, default=0, help="people and faults repeat exactly for the same seed")
    parser.add_argument("--scenario", action="append", default=[], metavar="NAME[=PROBABILITY][@ROUTE,…]")
    parser.add_argument("--switch", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--inbound-url", help="where replies go; {username} is filled in")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when the starting process is gone")
    parser.add_argument("--list-switches", action="store_true", help="print all switches and scenarios, and end")
    return parser


class _Server(uvicorn.Server):
    """Says when it is ready, and lets go of callers it keeps waiting when it ends."""

    def __init__(self, config: uvicorn.Config, url: str, closing: asyncio.Event) -> None:
        super().__init__(config)
        self._url, self._closing = url, closing

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            sys.stdout.write(json.dumps({"url": self._url}) + "\n")
            sys.stdout.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._closing.set()
        await super().shutdown(sockets)


def _protocol(transports: dict[tuple[str, int], asyncio.BaseTransport]) -> type[Any]:
    """The HTTP protocol of uvicorn, which also notes the transport of each client so that a fault can reset it."""
    base: Any = AutoHTTPProtocol

    class Protocol(base):  # type: ignore[misc] # the base is chosen by uvicorn at import
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self._peer = transport.get_extra_info("peername")[:2]
            transports[self._peer] = transport
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            transports.pop(self._peer, None)
            super().connection_lost(exc)

    return Protocol


def _end_with_stdin() -> None:
    """Send this process SIGTERM once whoever started it closes our standard input."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; 2 with one sentence for a bad argument or a taken port."""
    chosen = _arguments().parse_args(arguments)
    if chosen.list_switches:
        sys.stdout.write(listing() + "\n")
        return 0
    try:
        clock = Clock.starting(chosen.start) if chosen.start else Clock.parse(chosen.clock)
        scenarios = [Scenario.parse(text) for text in chosen.scenario]
        switches = dict(parse_switch(text) for text in chosen.switch)
        listener = socket.create_server((chosen.host, chosen.port), backlog=1024)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(
            f"The sandbox cannot listen on {chosen.host}:{chosen.port}: {error.strerror}. Use another --port.\n"
        )
        return 2
    app = create_app(clock, Behaviour(chosen.seed, switches, {one.fault: one for one in scenarios}), chosen.inbound_url)
    transports: dict[tuple[str, int], asyncio.BaseTransport] = {}
    app.state.transports = transports
    config = uvicorn.Config(
        app,
        http=_protocol(transports),
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=1,
        timeout_keep_alive=75,
    )
    url = f"http://{chosen.host}:{listener.getsockname()[1]}"
    # uvicorn raises the signal again when it is done; ended on request is not a failure.
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: None)
    if chosen.until_stdin_closes:
        _end_with_stdin()
    _Server(config, url, app.state.world.closing).run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(main())

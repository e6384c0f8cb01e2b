"""Starts the sandbox with ``python -m everlytic.sandbox``; prints one JSON line ``{"url": …}`` when it is ready."""

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
from everlytic.sandbox.scenarios import Behaviour, Scenario, format_listing, parse_switch


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="everlytic.sandbox", description="A local Everlytic simulator.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free port")
    parser.add_argument("--clock", help="<real epoch seconds>,<virtual ISO instant with offset>,<speed>")
    parser.add_argument("--start", metavar="INSTANT", help="start time of a clock that the control plane can advance")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same recipients and faults")
    parser.add_argument("--scenario", action="append", default=[], metavar="NAME[=PROBABILITY][@ROUTE,…]")
    parser.add_argument("--switch", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--inbound-url", help="URL for replies; {username} is replaced")
    parser.add_argument("--until-stdin-closes", action="store_true", help="exit when the parent process has ended")
    parser.add_argument("--list-switches", action="store_true", help="print all switches and scenarios, and exit")
    return parser


class _Server(uvicorn.Server):
    """Prints its URL when it is ready, and ends delayed responses on shutdown."""

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


def _build_protocol(transports: dict[tuple[str, int], asyncio.BaseTransport]) -> type[Any]:
    """Return uvicorn's HTTP protocol, which also records each client's transport so that a fault can reset it."""
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


def _exit_with_stdin() -> None:
    """Send this process SIGTERM when the parent process closes its standard input."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; return 2, after one sentence, for an invalid argument or a port in use."""
    options = _build_parser().parse_args(arguments)
    if options.list_switches:
        sys.stdout.write(format_listing() + "\n")
        return 0
    try:
        clock = Clock.start_at(options.start) if options.start else Clock.parse(options.clock)
        scenarios = [Scenario.parse(text) for text in options.scenario]
        switches = dict(parse_switch(text) for text in options.switch)
        listener = socket.create_server((options.host, options.port), backlog=1024)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(
            f"The sandbox cannot listen on {options.host}:{options.port}: {error.strerror}. Use another --port.\n"
        )
        return 2
    behaviour = Behaviour(options.seed, switches, {scenario.fault: scenario for scenario in scenarios})
    app = create_app(clock, behaviour, options.inbound_url)
    transports: dict[tuple[str, int], asyncio.BaseTransport] = {}
    app.state.transports = transports
    config = uvicorn.Config(
        app,
        http=_build_protocol(transports),
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=1,
        timeout_keep_alive=75,
    )
    url = f"http://{options.host}:{listener.getsockname()[1]}"
    # uvicorn raises the signal again at the end. Ignore it, because a requested shutdown is not a failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    if options.until_stdin_closes:
        _exit_with_stdin()
    _Server(config, url, app.state.simulation.closing).run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(main())

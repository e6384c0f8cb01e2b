"""A web server that records what is posted to it and answers as told: the far end of webhooks and replies."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came in; header names are in lower case."""

    verb: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int


@dataclass(slots=True)
class Receiver:
    """``url`` takes any path; ``answer`` gives the status for the n-th request (from 1) and may be replaced."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answer: Callable[[int], int] = lambda _: 200

    def accepted(self) -> list[Received]:
        """What was answered with 2xx."""
        return [one for one in self.received if 200 <= one.status < 300]


@contextlib.contextmanager
def running_receiver() -> Iterator[Receiver]:
    """Start one on a free port, and end it."""
    receiver, lock = Receiver(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with lock:
                status = receiver.answer(len(receiver.received) + 1)
                receiver.received.append(Received(self.command, self.path, headers, body, status))
            self.send_response(status)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        do_PUT = do_PATCH = do_DELETE = do_GET = do_POST  # noqa: N815 - the base class looks for these names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A fresh receiver that answers 200."""
    with running_receiver() as started:
        yield started

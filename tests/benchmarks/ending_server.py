"""A server that ends on a request of /end, as its arguments say; run as a module."""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
        if self.path == "/end":
            end(sys.argv[1])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        pass


def end(how: str) -> None:
    """Exit with a status or by a signal."""
    if how.startswith("SIG"):
        os.kill(os.getpid(), signal.Signals[how])
    os._exit(int(how))


if __name__ == "__main__":
    sys.stderr.write(f"This server ends with {sys.argv[1]}.\n")
    if sys.argv[2] == "early":
        end(sys.argv[1])
    HTTPServer(("127.0.0.1", int(sys.argv[4])), Handler).serve_forever()

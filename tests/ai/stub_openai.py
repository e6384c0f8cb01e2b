"""A local server that speaks the OpenAI Responses API with structured output, and can misbehave on request."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """What the server does with one request: an answer, or one of its ways to misbehave."""

    answer: object = None
    kind: str = "answer"  # answer · invalid_json · refusal · rate_limited · server_error · silent · cut · incomplete
    retry_after: str | None = None


@dataclass
class StubOpenAI:
    """The script the server follows and the requests it saw; the last reply is repeated."""

    replies: list[Reply] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    base_url: str = ""
    answerer: Callable[[dict[str, Any]], Reply] | None = None
    released: threading.Event = field(default_factory=threading.Event)

    def will(self, *replies: Reply) -> None:
        """Set what the next requests get, and forget the earlier ones."""
        self.replies = list(replies)
        self.requests.clear()

    def next_reply(self, request: dict[str, Any]) -> Reply:
        self.requests.append(request)
        if self.answerer:
            return self.answerer(request)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@contextmanager
def running() -> Iterator[StubOpenAI]:
    """Run the server on a free port of this machine."""
    stub = StubOpenAI()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            request = json.loads(self.rfile.read(length))
            assert self.path == "/v1/responses"
            self._play(stub.next_reply(request), request)

        def _play(self, reply: Reply, request: dict[str, Any]) -> None:
            if reply.kind == "silent":
                stub.released.wait(30)
            elif reply.kind == "rate_limited":
                headers = {"Retry-After": reply.retry_after} if reply.retry_after else {}
                self._send(429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, headers)
            elif reply.kind == "server_error":
                self._send(500, {"error": {"message": "broken"}})
            elif reply.kind == "cut":
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "5000")
                self.end_headers()
                self.wfile.write(b'{"id": "resp_1", "output": [')
                self.close_connection = True
            else:
                self._send(200, _response(reply, request))

        def _send(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
            raw = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    stub.base_url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield stub
    finally:
        stub.released.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


def _response(reply: Reply, request: dict[str, Any]) -> dict[str, Any]:
    text = '{"subject": "cut off' if reply.kind == "invalid_json" else json.dumps(reply.answer)
    content: dict[str, Any] = {"type": "output_text", "text": text, "annotations": []}
    if reply.kind == "refusal":
        content = {"type": "refusal", "refusal": "I cannot help with that."}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "incomplete" if reply.kind == "incomplete" else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if reply.kind == "incomplete" else None,
        "model": request["model"],
        "output": [{"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [content]}],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 20,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 120,
        },
    }

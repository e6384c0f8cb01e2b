"""A local server with OpenAI's Responses and Chat Completions APIs and structured output, which simulates failures."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal, TypeAlias

from tests.ai.threaded import serving

Kind: TypeAlias = Literal[
    "answer",
    "invalid_json",
    "refusal",
    "filtered",
    "incomplete",
    "failed",
    "no_usage",
    "strange_usage",
    "no_output",
    "rate_limited",
    "server_error",
    "unauthorised",
    "not_found",
    "silent",
    "cut",
    "empty",
    "page",
    "list",
    "deep",
    "redirected",
    "redirected_forever",
]


@dataclass
class Reply:
    """The reaction of the server to one request: an answer or a failure."""

    answer: object = None
    kind: Kind = "answer"
    retry_after: str | None = None


@dataclass
class StubOpenAI:
    """The script of replies and the received requests; the last reply is repeated."""

    replies: list[Reply] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    base_url: str = ""
    answerer: Callable[[dict[str, Any]], Reply] | None = None
    released: threading.Event = field(default_factory=threading.Event)

    def set_replies(self, *replies: Reply) -> None:
        """Set the replies to the next requests, and delete the earlier requests."""
        self.replies = list(replies)
        self.requests.clear()
        self.paths.clear()

    def next_reply(self, request: dict[str, Any]) -> Reply:
        self.requests.append(request)
        if self.answerer:
            return self.answerer(request)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


RESPONSES, CHAT = "/v1/responses", "/v1/chat/completions"
ERRORS = {"rate_limited": 429, "server_error": 500, "unauthorised": 401, "not_found": 404}
BODIES = {
    "empty": b"",
    "page": b"<html><title>Sign in</title></html>",
    "list": b"[]",
    "deep": b"[" * 5000 + b"]" * 5000,
}


@contextmanager
def run_stub() -> Iterator[StubOpenAI]:
    """Run the server on a free local port."""
    stub = StubOpenAI()
    with serving(type("Handler", (_Handler,), {"stub": stub})) as origin:
        stub.base_url = f"{origin}/v1"
        try:
            yield stub
        finally:
            stub.released.set()


class _Handler(BaseHTTPRequestHandler):
    stub: StubOpenAI
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        request = json.loads(self.rfile.read(length))
        self.stub.paths.append(self.path)
        assert self.path.removesuffix("/elsewhere") in {RESPONSES, CHAT}
        self._handle(self.stub.next_reply(request), request)

    def _handle(self, reply: Reply, request: dict[str, Any]) -> None:
        if reply.kind == "silent":
            self.stub.released.wait(30)
        elif reply.kind in ERRORS:
            headers = {"Retry-After": reply.retry_after} if reply.retry_after else {}
            self._send(ERRORS[reply.kind], {"error": {"message": "simulated error", "code": reply.kind}}, headers)
        elif reply.kind == "redirected_forever" or (reply.kind == "redirected" and self.path in {RESPONSES, CHAT}):
            self._send(307, {}, {"Location": self.path.removesuffix("/elsewhere") + "/elsewhere"})
        elif reply.kind == "cut":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "5000")
            self.end_headers()
            self.wfile.write(b'{"id": "resp_1", "output": [')
            self.close_connection = True
        elif reply.kind in BODIES:
            self._send_raw(200, BODIES[reply.kind], {"Content-Type": "text/html"})
        else:
            body = _completion(reply, request) if self.path.startswith(CHAT) else _response(reply, request)
            self._send(200, body)

    def _send(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        self._send_raw(status, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _send_raw(self, status: int, raw: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Log nothing."""


def _response(reply: Reply, request: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {"type": "output_text", "text": _text(reply), "annotations": []}
    if reply.kind == "refusal":
        content = {"type": "refusal", "refusal": "I cannot help with that."}
    message = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [content]}
    reason = {"incomplete": "max_output_tokens", "filtered": "content_filter"}.get(reply.kind)
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "incomplete" if reason else "failed" if reply.kind == "failed" else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "model": request["model"],
        "output": [] if reply.kind in {"no_output", "failed"} else [message],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        **_usage(reply, "input_tokens", "output_tokens"),
    }


def _completion(reply: Reply, request: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": _text(reply)}
    if reply.kind == "refusal":
        message = {"role": "assistant", "refusal": "I cannot help with that."}
    reason = {"incomplete": "length", "filtered": "content_filter"}.get(reply.kind, "stop")
    return {
        "id": "chatcmpl_1",
        "object": "chat.completion",
        "created": 1,
        "model": request["model"],
        "choices": [] if reply.kind == "no_output" else [{"index": 0, "message": message, "finish_reason": reason}],
        **_usage(reply, "prompt_tokens", "completion_tokens"),
    }


def _text(reply: Reply) -> str:
    text = json.dumps(reply.answer)
    return text[: len(text) // 2] if reply.kind in {"invalid_json", "incomplete", "filtered"} else text


def _usage(reply: Reply, tokens_in: str, tokens_out: str) -> dict[str, Any]:
    if reply.kind == "no_usage":
        return {}
    if reply.kind == "strange_usage":
        return {"usage": {tokens_in: -5, tokens_out: 10**30}}
    details = {"input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}}
    details["output_tokens_details"] = {"reasoning_tokens": 0}
    spent = {tokens_in: 100, tokens_out: 20, "total_tokens": 120}
    return {"usage": {**spent, **details} if tokens_in == "input_tokens" else spent}

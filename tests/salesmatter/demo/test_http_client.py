"""Tests of the demo's HTTP client against a server with scripted responses."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import pytest

from salesmatter.demo.http_client import PAGE_SIZE, HttpClient
from salesmatter.errors import DemoFailed
from tests.ai.threaded import serving


class Script:
    """Raw responses by path, and the queries of the requests."""

    def __init__(self) -> None:
        self.responses: dict[str, bytes] = {}
        self.queries: list[dict[str, list[str]]] = []

    def respond(self, path: str, status: str, body: bytes, length: int | None = None) -> None:
        """Set the response of a path; `length` replaces the content-length of the body."""
        length = len(body) if length is None else length
        headers = f"HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        self.responses[path] = headers.encode() + body


@pytest.fixture
def script() -> Iterator[tuple[Script, HttpClient]]:
    """A server with scripted responses, and a client for it."""
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            script.queries.append(parse_qs(parts.query))
            cursor = script.queries[-1].get("cursor", [""])[0]
            self.wfile.write(script.responses[parts.path + cursor])
            self.close_connection = True

        do_DELETE = do_GET  # noqa: N815 - the base class looks for this name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    with serving(Handler) as url, HttpClient(url) as client:
        yield script, client


@pytest.mark.parametrize(
    ("status", "body", "result"),
    [("200 OK", b'{"a": 1}', {"a": 1}), ("201 Created", b"[]", []), ("204 No Content", b"", None), ("299 x", b"7", 7)],
)
def test_every_2xx_is_a_success(script: tuple[Script, HttpClient], status: str, body: bytes, result: object) -> None:
    """The JSON of the response is returned, and None for an empty body."""
    server, client = script
    server.respond("/thing", status, body)
    assert client.get("/thing") == result


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        ("300 x", b'{"detail": "Elsewhere."}', "Elsewhere. (GET /thing answered 300)"),
        ("404 Not Found", b'{"detail": "Gone."}', "Gone. (GET /thing answered 404)"),
        ("500 x", b"x" * 199, f"{'x' * 199} (GET /thing answered 500)"),
        ("500 x", b"x" * 200, f"{'x' * 200} (GET /thing answered 500)"),
        ("500 x", b"x" * 201, f"{'x' * 200} (GET /thing answered 500)"),
        ("502 x", b"[]", "[] (GET /thing answered 502)"),
        ("502 x", b"{}", "{} (GET /thing answered 502)"),
        ("502 x", b"", " (GET /thing answered 502)"),
    ],
)
def test_any_other_status_is_an_error(
    script: tuple[Script, HttpClient], status: str, body: bytes, sentence: str
) -> None:
    """The error contains the problem detail, or the first 200 characters of another body."""
    server, client = script
    server.respond("/thing", status, body)
    with pytest.raises(DemoFailed) as caught:
        client.get("/thing")
    assert str(caught.value) == sentence


@pytest.mark.parametrize(("body", "length"), [(b'{"a": 1', 8), (b"", 8)])
def test_a_truncated_response_is_an_error(script: tuple[Script, HttpClient], body: bytes, length: int) -> None:
    """A body that ends before its content-length is an error."""
    server, client = script
    server.respond("/thing", "200 OK", body, length)
    with pytest.raises(DemoFailed, match=r"GET http.*/thing failed: "):
        client.get("/thing")


def test_a_list_is_read_to_its_last_page(script: tuple[Script, HttpClient]) -> None:
    """Each page is requested with the cursor of the page before; an empty page does not end the list."""
    server, client = script
    pages = [([{"n": 1}, {"n": 2}], "b"), ([], "c"), ([{"n": 2}], None)]
    for name, (items, cursor) in zip(("", "b", "c"), pages, strict=True):
        server.respond(f"/list{name}", "200 OK", json.dumps({"items": items, "nextCursor": cursor}).encode())
    assert client.list_all("/list", kind="x") == [{"n": 1}, {"n": 2}, {"n": 2}]
    limit = {"limit": [str(PAGE_SIZE)], "kind": ["x"]}
    assert server.queries == [limit, limit | {"cursor": ["b"]}, limit | {"cursor": ["c"]}]

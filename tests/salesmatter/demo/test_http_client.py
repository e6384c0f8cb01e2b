"""HTTP as the demo speaks it, against a server that gives answers of every kind."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import pytest

from salesmatter.demo.http_client import PAGE_SIZE, HttpClient
from salesmatter.errors import DemoFailed
from tests.ai.threaded import serving


class Script:
    """Raw answers by path, and the queries that were asked."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.queries: list[dict[str, list[str]]] = []

    def will(self, path: str, status: str, body: bytes, length: int | None = None) -> None:
        """Answer a path with a status and a body; `length` is what the answer says of it."""
        said = len(body) if length is None else length
        self.answers[path] = f"HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {said}\r\n\r\n".encode() + body


@pytest.fixture
def script() -> Iterator[tuple[Script, HttpClient]]:
    """A server that answers as scripted, and a client of it."""
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            script.queries.append(parse_qs(parts.query))
            cursor = script.queries[-1].get("cursor", [""])[0]
            self.wfile.write(script.answers[parts.path + cursor])
            self.close_connection = True

        do_DELETE = do_GET  # noqa: N815 - the base class looks for this name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    with serving(Handler) as url, HttpClient(url) as client:
        yield script, client


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [("200 OK", b'{"a": 1}', {"a": 1}), ("201 Created", b"[]", []), ("204 No Content", b"", None), ("299 x", b"7", 7)],
)
def test_every_2xx_is_an_answer(script: tuple[Script, HttpClient], status: str, body: bytes, answer: object) -> None:
    """The JSON of an answer is returned, and nothing for an empty one."""
    server, client = script
    server.will("/thing", status, body)
    assert client.get("/thing") == answer


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
def test_everything_else_is_a_sentence(
    script: tuple[Script, HttpClient], status: str, body: bytes, sentence: str
) -> None:
    """A refusal is said by its detail, or by the first 200 characters of what came instead."""
    server, client = script
    server.will("/thing", status, body)
    with pytest.raises(DemoFailed) as caught:
        client.get("/thing")
    assert str(caught.value) == sentence


@pytest.mark.parametrize(("answer", "length"), [(b'{"a": 1', 8), (b"", 8)])
def test_an_answer_that_is_cut_off_is_a_sentence(script: tuple[Script, HttpClient], answer: bytes, length: int) -> None:
    """A body that ends before its length is no answer."""
    server, client = script
    server.will("/thing", "200 OK", answer, length)
    with pytest.raises(DemoFailed, match=r"GET http.*/thing got no answer: "):
        client.get("/thing")


def test_a_list_is_read_page_by_page_to_its_last(script: tuple[Script, HttpClient]) -> None:
    """Each page is asked for by the cursor of the one before, an empty page is passed, the last one has no cursor."""
    server, client = script
    pages = [([{"n": 1}, {"n": 2}], "b"), ([], "c"), ([{"n": 2}], None)]
    for name, (items, cursor) in zip(("", "b", "c"), pages, strict=True):
        server.will(f"/list{name}", "200 OK", json.dumps({"items": items, "nextCursor": cursor}).encode())
    assert client.all("/list", kind="x") == [{"n": 1}, {"n": 2}, {"n": 2}]
    limit = {"limit": [str(PAGE_SIZE)], "kind": ["x"]}
    assert server.queries == [limit, limit | {"cursor": ["b"]}, limit | {"cursor": ["c"]}]

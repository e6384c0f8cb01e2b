"""How deep a pushed body may nest, in each form in which it may come."""

from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest

from everlytic.errors import MalformedDelivery
from everlytic.webhooks import parse_delivery

RECEIVED = datetime(2026, 1, 5, 16, tzinfo=UTC)
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


@pytest.mark.parametrize("inner", ["[%s]", '{"a":%s}'])
def test_how_deep_json_may_nest(inner: str) -> None:
    """A push of 256 levels is read, also in a field of a form, and one of 257 is refused with the limit."""

    def body(depth: int) -> str:
        value = "1"
        for _ in range(depth - 2):
            value = inner % value
        return f'{{"event": {{"event_type": "opened", "x": {value}}}}}'

    for depth in (255, 256):
        assert len(parse_delivery(body(depth).encode(), JSON, RECEIVED)) == 1
        assert len(parse_delivery(urlencode({"payload": body(depth)}).encode(), FORM, RECEIVED)) == 1
    for depth in (257, 20_000):
        with pytest.raises(MalformedDelivery, match=r"^The webhook body nests deeper than 256 levels\.$"):
            parse_delivery(body(depth).encode(), JSON, RECEIVED)
    with pytest.raises(MalformedDelivery):
        parse_delivery(urlencode({"payload": body(257)}).encode(), FORM, RECEIVED)


def test_how_deep_a_form_may_nest() -> None:
    """Bracket names of 64 levels are read, and one of 65 is refused with the limit."""
    for depth in (63, 64):
        name = "event" + "[a]" * (depth - 1)
        assert len(parse_delivery(f"event[event_type]=opened&{name}=1".encode(), FORM, RECEIVED)) == 1
    for depth in (65, 5000):
        name = "event" + "[a]" * (depth - 1)
        with pytest.raises(MalformedDelivery, match=r"^The webhook body nests deeper than 64 levels\.$"):
            parse_delivery(f"event[event_type]=opened&{name}=1".encode(), FORM, RECEIVED)


def test_how_deep_parts_may_nest() -> None:
    """A field in 100 parts within each other is read, and in 101 the body is refused with the limit."""
    field = b'Content-Disposition: form-data; name="event"\r\n\r\n{"event_type": "opened"}'
    level = b"--x\r\nContent-Type: message/rfc822\r\n\r\n"
    kind = "multipart/form-data; boundary=x"

    def body(depth: int) -> bytes:
        return level + b"Content-Type: message/rfc822\r\n\r\n" * (depth - 3) + field + b"\r\n--x--\r\n"

    for depth in (99, 100):
        assert len(parse_delivery(body(depth), kind, RECEIVED)) == 1
    for depth in (101, 3000):
        with pytest.raises(MalformedDelivery, match=r"^The webhook body nests deeper than 100 levels\.$"):
            parse_delivery(body(depth), kind, RECEIVED)

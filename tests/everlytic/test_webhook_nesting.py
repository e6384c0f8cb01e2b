"""Tests the depth limits of webhook bodies in each format."""

from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest

from everlytic.errors import MalformedDelivery
from everlytic.webhooks import parse_delivery

RECEIVED = datetime(2026, 1, 5, 16, tzinfo=UTC)
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


@pytest.mark.parametrize("inner", ["[%s]", '{"a":%s}'])
def test_json_depth_is_limited(inner: str) -> None:
    """A JSON body of 256 levels is parsed, also in a form field; one of 257 is refused with the limit."""

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


def test_form_depth_is_limited() -> None:
    """Bracket names of 64 levels are parsed; 65 levels are refused with the limit."""
    for depth in (63, 64):
        name = "event" + "[a]" * (depth - 1)
        assert len(parse_delivery(f"event[event_type]=opened&{name}=1".encode(), FORM, RECEIVED)) == 1
    for depth in (65, 5000):
        name = "event" + "[a]" * (depth - 1)
        with pytest.raises(MalformedDelivery, match=r"^The webhook body nests deeper than 64 levels\.$"):
            parse_delivery(f"event[event_type]=opened&{name}=1".encode(), FORM, RECEIVED)


def test_part_depth_is_limited() -> None:
    """A field inside of 100 nested parts is parsed; with 101 the body is refused with the limit."""
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

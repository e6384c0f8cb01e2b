"""Bodies of requests: JSON, webhooks, templates, unsubscribe links and the reasons of bounces."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from ai.errors import TemplateError
from ai.template_checks import find_template_problems
from ai.templates import find_tags
from api.http.errors import ApiError
from api.http.routing import read_json
from domain.bounce import classify_bounce, describe_bounce
from domain.unsubscribe_link import InvalidToken, read_unsubscribe_link
from everlytic.errors import MalformedDelivery
from everlytic.models import parse_time
from everlytic.webhooks import parse_delivery
from tests.growth.growing import find_steep, measure_growth

NOW = datetime(2026, 10, 26, tzinfo=UTC)


def _read_json(text: str) -> None:
    with suppress(ApiError):
        read_json(text.encode("utf-8", "replace"))


def _read_webhook(text: str, content_type: str, head: str = "") -> None:
    with suppress(MalformedDelivery):
        parse_delivery((head + text).encode("utf-8", "replace"), content_type, NOW)


def _find_tags(text: str) -> None:
    with suppress(TemplateError):
        list(find_tags(text))


def _read_time(text: str) -> None:
    with suppress(ValueError):
        parse_time(text)


def _read_link(text: str) -> None:
    with suppress(InvalidToken):
        read_unsubscribe_link("k" * 40, text)


BODIES: Sequence[Callable[[str], object]] = (
    _read_json,
    lambda text: _read_json(json.dumps({"a": text, text: [text]})),
    lambda text: _read_webhook(text, "application/json"),
    lambda text: _read_webhook(text, "application/x-www-form-urlencoded"),
    lambda text: _read_webhook(text, "multipart/form-data; boundary=b", "--b\r\n"),
    lambda text: _read_webhook('{"event_type": "open"}', text),
    lambda text: classify_bounce({"bounce_type": text, "bounce_reason": text, text: "hard"}),
    lambda text: describe_bounce({"bounce_reason": text}),
    _find_tags,
    find_template_problems,
    _read_time,
    _read_link,
)


@pytest.mark.parametrize("reader", range(len(BODIES)))
def test_a_body_is_read_in_linear_time(reader: int) -> None:
    """JSON, webhooks, templates and reasons of bounces of any shape take at most in proportion to their length."""
    BODIES[reader]("warm")
    assert find_steep(BODIES[reader]) == []


@pytest.mark.parametrize("name", ["key{}", "same"])
def test_an_object_with_many_keys_is_read_in_linear_time(name: str) -> None:
    """An object takes in proportion to its keys, also if the only key that occurs twice comes last."""

    def make(length: int) -> str:
        keys = [name.format(number) for number in range(length // 12)]
        return "{" + ",".join(f'"{key}":1' for key in [*keys, keys[-1]]) + "}"

    assert measure_growth(_read_json, make, length=524_288) is None

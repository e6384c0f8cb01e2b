"""Tests the values parsed from successful responses: items, pages, times, headers and figures."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from everlytic import errors, protocol
from everlytic.models import Transaction
from everlytic.protocol import Response

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def response(status: int, body: object) -> Response:
    """Return a response with a JSON body."""
    return Response(status, {}, json.dumps(body).encode())


def test_a_transaction_is_parsed() -> None:
    """The documented item is parsed: an empty list as no headers, Unix seconds as a time, and `raw` is the item."""
    item = {
        "id": "5f0000000000000000000001",
        "bounce_reason": "policy-related",
        "bounce_type": "hard",
        "subject": "Hi",
        "send_email_from": "rep@example.test",
        "send_email_to": "lead@example.test",
        "custom_headers": [],
        "group_id": 360,
        "send_status": "sent",
        "send_date": 1595175294,
        "opens": 0,
        "link_clicks": 2,
        "send_mta_status": "none",
        "future": True,
    }
    transaction = protocol.parse_transaction(response(200, {"links": [], "item": item}))
    fields = (transaction.id, transaction.recipient, transaction.group_id, transaction.clicks)
    assert fields == (item["id"], "lead@example.test", "360", 2)
    assert transaction.sent_at == datetime(2020, 7, 19, 16, 14, 54, tzinfo=UTC)
    assert transaction.custom_headers == {}
    assert transaction.raw == item


@pytest.mark.parametrize(
    "headers",
    [{"x-salesmatter-draft": "d1"}, {"X-SalesMatter-Draft": ["d1"]}, [{"name": "X-SalesMatter-Draft", "value": "d1"}]],
)
def test_custom_headers_in_any_shape(headers: object) -> None:
    """The message id is found in each shape in which the provider may send custom headers."""
    assert Transaction.model_validate({"id": "a", "custom_headers": headers}).message_id == "d1"


def test_pages_follow_next_until_it_is_missing() -> None:
    """The next page is a link with rel next (tenant API) or links.next (v1); without it the page is the last one."""
    page = protocol.parse_transactions(
        response(
            200,
            {
                "links": [{"rel": "self", "href": "s"}, {"rel": "next", "href": "n"}],
                "collection": [{"data": {"id": 1}}],
            },
        )
    )
    assert (page.next_url, page.items[0].id) == ("n", "1")
    assert protocol.parse_transactions(response(200, {"links": [], "collection": []})).next_url is None
    hooks = protocol.parse_webhooks(response(200, {"data": [{"id": "a", "url": "u"}], "links": {"next": None}}))
    assert hooks.next_url is None


@pytest.mark.parametrize(
    ("links", "following"),
    [
        ([{"rel": "next", "href": "a"}, {"rel": "next", "href": "b"}], "a"),
        ([{"rel": "next", "href": 7}], None),
        ([{"rel": "next"}], None),
        ([{"rel": "prev", "href": "a"}], None),
        (["next"], None),
        ({"next": "a"}, None),
        (None, None),
    ],
)
def test_the_next_page_is_the_first_link_with_rel_next(links: object, following: str | None) -> None:
    """A tenant collection without such a link, or with an href that is not a text, is the last page."""
    page = protocol.parse_transactions(response(200, {"links": links, "collection": []}))
    assert page.next_url == following


@pytest.mark.parametrize("links", [{"next": ""}, {"next": 7}, {}, [], None])
def test_v1_pages_end_without_a_text_in_next(links: object) -> None:
    """A v1 list whose `links.next` is empty or not a text is the last page."""
    assert protocol.parse_webhooks(response(200, {"data": [], "links": links})).next_url is None
    hooks = protocol.parse_webhooks(response(200, {"data": [], "links": {"next": "n"}}))
    assert hooks.next_url == "n"


def test_items_are_parsed_bare_or_wrapped() -> None:
    """A list item may be bare, in `data` or in `data.event`, a webhook bare or in `data`."""
    event = {"event_id": "a", "event_type": "open"}
    wrapped: list[object] = [event, {"data": event}, {"data": {"event": event}}, {"event": event}]
    page = protocol.parse_callback_events(response(200, {"collection": wrapped}))
    assert [item.id for item in page.items] == ["a"] * 4
    hook = {"id": 3, "url": "https://r.test/h"}
    for body in (hook, {"data": hook}, {**hook, "data": []}):
        assert protocol.parse_webhook(response(201, body)).id == "3"


@pytest.mark.parametrize("status", [None, 1, 0, "true", [], {}])
def test_only_a_boolean_is_a_status(status: object) -> None:
    """A status of true or false is returned; any other value is an error."""
    assert protocol.parse_status(response(200, {"status": True})) is True
    assert protocol.parse_status(response(200, {"status": False})) is False
    with pytest.raises(errors.UnrecognisedResponse):
        protocol.parse_status(response(200, {"status": status}))


@pytest.mark.parametrize(
    ("value", "time"),
    [
        (0, None),
        ("0", None),
        (1, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (" 1 ", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ("", None),
        (None, None),
        (True, None),
        ("2026-05-01T14:00:00+02:00", NOON),
        ("2026-05-01 12:00:00", NOON),
        (99999999999, datetime(5138, 11, 16, 9, 46, 39, tzinfo=UTC)),
        (100000000000, datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
        (253402300799000, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_in_each_format(value: object, time: datetime | None) -> None:
    """Unix seconds or milliseconds (0 is never), their digits, and ISO texts (UTC without a zone) are parsed as UTC."""
    moment = Transaction.model_validate({"id": "a", "send_date": value}).sent_at
    assert moment == time
    assert moment is None or moment.utcoffset() == timedelta(0)


def test_a_time_after_the_year_9999_is_refused() -> None:
    """One second after the last time that datetime supports is an error."""
    with pytest.raises(ValueError, match="out of range"):
        Transaction.model_validate({"id": "a", "send_date": 253402300800000})


@pytest.mark.parametrize(("value", "text"), [(7, "7"), (7.5, "7.5"), ("", ""), (0, "0")])
def test_an_id_is_a_text_or_a_number(value: object, text: str) -> None:
    """A number becomes a text; booleans and other types are refused."""
    assert Transaction.model_validate({"id": value}).id == text
    others: list[object] = [True, False, None, [], {}]
    for refused in others:
        with pytest.raises(ValueError, match="id"):
            Transaction.model_validate({"id": refused})


def test_a_group_is_parsed_under_either_name() -> None:
    """The group of a transaction is read from `group_name` or `trans_group_name`."""
    for name in ("group_name", "trans_group_name"):
        assert Transaction.model_validate({"id": "a", name: "g"}).group_name == "g"


def test_a_header_gives_its_first_value() -> None:
    """A header with several values gives the first one; a header without values counts as absent."""
    headers = {"X-Salesmatter-Draft": [], "X-SALESMATTER-DRAFT": ["first", "second"]}
    assert Transaction.model_validate({"id": "a", "custom_headers": headers}).message_id == "first"
    assert Transaction.model_validate({"id": "a", "custom_headers": {"X-SalesMatter-Draft": []}}).message_id is None


def test_the_error_about_an_invalid_webhook_has_no_values() -> None:
    """The error about a webhook that cannot be parsed names fields and never values, such as the password."""
    body = {"data": [{"id": ["?"], "auth_details": {"password": "hunter2"}}], "links": {}}
    with pytest.raises(errors.UnrecognisedResponse) as caught:
        protocol.parse_webhooks(response(200, body))
    assert "hunter2" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_figure_is_none() -> None:
    """A figure that the provider does not give is None, not 0."""
    report = protocol.parse_report("7", response(200, {"item": {"message_reads": "3"}}))
    assert (report.email_id, report.opens, report.complaints) == ("7", 3, None)


def test_each_figure_of_a_report_has_its_own_field() -> None:
    """Ten fields with different numbers become ten figures under the right names."""
    item = {
        "email_message_count": 1,
        "message_delivered": 2,
        "message_reads": 3,
        "message_reads_unique": 4,
        "message_link_clicks": 5,
        "message_link_clicks_unique": 6,
        "email_bounce_hard_count": 7,
        "email_bounce_soft_count": 8,
        "unsubscribe_count": 9,
        "complaints_count": 10,
    }
    report = protocol.parse_report("7", response(200, {"item": item}))
    assert report.model_dump(exclude={"email_id", "raw"}) == {
        "sent": 1,
        "delivered": 2,
        "opens": 3,
        "unique_opens": 4,
        "clicks": 5,
        "unique_clicks": 6,
        "hard_bounces": 7,
        "soft_bounces": 8,
        "unsubscribes": 9,
        "complaints": 10,
    }
    assert report.raw == item


def test_unreadable_items_are_reported_and_skipped() -> None:
    """With `report_unreadable` an item keeps its readable fields or is skipped, and the other items are returned."""
    reports: list[str] = []
    items: list[object] = [
        {"data": {"id": "whole", "opens": 2}},
        {"data": {"id": 7, "opens": "many", "send_date": 10**30, "group_name": {"odd": 1}}},
        {"data": {"id": None}},
        {"data": [1]},
        4,
    ]
    page = protocol.parse_transactions(
        response(200, {"links": [], "collection": items}), report_unreadable=reports.append
    )
    assert [(item.id, item.opens, item.sent_at, item.group_name) for item in page.items] == [
        ("whole", 2, None, None),
        ("7", 0, None, None),
    ]
    assert page.items[1].raw["opens"] == "many"
    assert reports == [
        "Kept an item without the fields that cannot be parsed: group_name, opens, send_date.",
        "Skipped an item whose fields cannot be parsed: id.",
        "Skipped an item that is not an object.",
        "Skipped an item that is not an object.",
    ]
    with pytest.raises(errors.UnrecognisedResponse):
        protocol.parse_transactions(response(200, {"links": [], "collection": items}))

"""What is read out of answers that succeed: items, pages, times, headers and figures."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from everlytic import errors, protocol
from everlytic.models import Transaction
from everlytic.protocol import Response

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def response(status: int, body: object) -> Response:
    """A response whose body is JSON."""
    return Response(status, {}, json.dumps(body).encode())


def test_a_read_back_transaction() -> None:
    """The documented item is read, with PHP's empty list as no headers, Unix seconds as a time, and the raw kept."""
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
    found = protocol.decipher_transaction(response(200, {"links": [], "item": item}))
    assert (found.id, found.recipient, found.group_id, found.clicks) == (item["id"], "lead@example.test", "360", 2)
    assert found.sent_at == datetime(2020, 7, 19, 16, 14, 54, tzinfo=UTC)
    assert found.custom_headers == {}
    assert found.raw == item


@pytest.mark.parametrize(
    "headers",
    [{"x-salesmatter-draft": "d1"}, {"X-SalesMatter-Draft": ["d1"]}, [{"name": "X-SalesMatter-Draft", "value": "d1"}]],
)
def test_custom_headers_in_each_likely_shape(headers: object) -> None:
    """Our message id is found however the provider writes custom headers."""
    assert Transaction.model_validate({"id": "a", "custom_headers": headers}).message_id == "d1"


def test_pages_follow_next_until_it_is_missing() -> None:
    """A tenant collection names its next page by rel; v1 by links.next; null and absent mean the last."""
    page = protocol.decipher_transactions(
        response(
            200,
            {
                "links": [{"rel": "self", "href": "s"}, {"rel": "next", "href": "n"}],
                "collection": [{"data": {"id": 1}}],
            },
        )
    )
    assert (page.next_url, page.items[0].id) == ("n", "1")
    assert protocol.decipher_transactions(response(200, {"links": [], "collection": []})).next_url is None
    hooks = protocol.decipher_webhooks(response(200, {"data": [{"id": "a", "url": "u"}], "links": {"next": None}}))
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
def test_the_next_page_is_the_first_link_that_says_next(links: object, following: str | None) -> None:
    """A tenant collection without such a link, or with one that is no text, is the last page."""
    page = protocol.decipher_transactions(response(200, {"links": links, "collection": []}))
    assert page.next_url == following


@pytest.mark.parametrize("links", [{"next": ""}, {"next": 7}, {}, [], None])
def test_v1_pages_end_without_a_text_in_next(links: object) -> None:
    """A v1 list whose `links.next` is no text, or empty, is the last page."""
    assert protocol.decipher_webhooks(response(200, {"data": [], "links": links})).next_url is None
    hooks = protocol.decipher_webhooks(response(200, {"data": [], "links": {"next": "n"}}))
    assert hooks.next_url == "n"


def test_items_are_read_bare_or_wrapped() -> None:
    """An item of a list stands in `data`, in `data.event`, or bare; a webhook in `data` or bare."""
    event = {"event_id": "a", "event_type": "open"}
    wrapped: list[object] = [event, {"data": event}, {"data": {"event": event}}, {"event": event}]
    page = protocol.decipher_callback_events(response(200, {"collection": wrapped}))
    assert [item.id for item in page.items] == ["a"] * 4
    hook = {"id": 3, "url": "https://r.test/h"}
    for body in (hook, {"data": hook}, {**hook, "data": []}):
        assert protocol.decipher_webhook(response(201, body)).id == "3"


@pytest.mark.parametrize("status", [None, 1, 0, "true", [], {}])
def test_only_a_boolean_is_a_status(status: object) -> None:
    """A status that is true or false is given as it is; anything else is an error, not a guess."""
    assert protocol.decipher_status(response(200, {"status": True})) is True
    assert protocol.decipher_status(response(200, {"status": False})) is False
    with pytest.raises(errors.UnrecognisedAnswer):
        protocol.decipher_status(response(200, {"status": status}))


@pytest.mark.parametrize(
    ("written", "read"),
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
        (253402300799, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_in_each_form(written: object, read: datetime | None) -> None:
    """Seconds since 1970 (0 is never), their digits, and ISO texts (UTC without a zone) are read as UTC."""
    moment = Transaction.model_validate({"id": "a", "send_date": written}).sent_at
    assert moment == read
    assert moment is None or moment.utcoffset() == timedelta(0)


def test_a_time_after_the_last_one_is_refused() -> None:
    """A second after the last that a calendar has is an error and not another time."""
    with pytest.raises(ValueError, match=r"no calendar has|out of range"):
        Transaction.model_validate({"id": "a", "send_date": 253402300800})


@pytest.mark.parametrize(("written", "read"), [(7, "7"), (7.5, "7.5"), ("", ""), (0, "0")])
def test_an_id_is_a_text_or_a_number(written: object, read: str) -> None:
    """Numbers become texts; true and false are no numbers here, and refused like anything else."""
    assert Transaction.model_validate({"id": written}).id == read
    others: list[object] = [True, False, None, [], {}]
    for refused in others:
        with pytest.raises(ValueError, match="id"):
            Transaction.model_validate({"id": refused})


def test_a_group_is_read_under_either_name() -> None:
    """The provider calls the group of a transaction `group_name` or `trans_group_name`."""
    for name in ("group_name", "trans_group_name"):
        assert Transaction.model_validate({"id": "a", name: "g"}).group_name == "g"


def test_the_first_value_of_a_header_counts_and_an_empty_one_does_not() -> None:
    """Of several values the first is given; a header without a value is as if it were not there."""
    headers = {"X-Salesmatter-Draft": [], "X-SALESMATTER-DRAFT": ["first", "second"]}
    assert Transaction.model_validate({"id": "a", "custom_headers": headers}).message_id == "first"
    assert Transaction.model_validate({"id": "a", "custom_headers": {"X-SalesMatter-Draft": []}}).message_id is None


def test_a_webhook_that_cannot_be_read_does_not_show_its_password() -> None:
    """The error about an unreadable webhook names fields, never values."""
    body = {"data": [{"id": ["?"], "auth_details": {"password": "hunter2"}}], "links": {}}
    with pytest.raises(errors.UnrecognisedAnswer) as caught:
        protocol.decipher_webhooks(response(200, body))
    assert "hunter2" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_an_overview_report_leaves_the_unsaid_empty() -> None:
    """A figure the provider does not give is None, not 0."""
    report = protocol.decipher_report("7", response(200, {"item": {"message_reads": "3"}}))
    assert (report.email_id, report.opens, report.complaints) == ("7", 3, None)


def test_each_figure_of_a_report_is_read_from_its_own_field() -> None:
    """Ten fields with ten different numbers become ten figures, none of them under another's name."""
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
    report = protocol.decipher_report("7", response(200, {"item": item}))
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


def test_a_list_is_read_on_past_what_cannot_be_read() -> None:
    """With somebody to tell, an item keeps what can be read of it or is left out, and the page is not lost."""
    told: list[str] = []
    items: list[object] = [
        {"data": {"id": "whole", "opens": 2}},
        {"data": {"id": 7, "opens": "many", "send_date": 10**30, "group_name": {"odd": 1}}},
        {"data": {"id": None}},
        {"data": [1]},
        4,
    ]
    page = protocol.decipher_transactions(response(200, {"links": [], "collection": items}), complain=told.append)
    assert [(one.id, one.opens, one.sent_at, one.group_name) for one in page.items] == [
        ("whole", 2, None, None),
        ("7", 0, None, None),
    ]
    assert page.items[1].raw["opens"] == "many"
    assert told == [
        "An item was kept without what cannot be read: group_name, opens, send_date.",
        "An item was left out: id cannot be read.",
        "An item that is no object was left out.",
        "An item that is no object was left out.",
    ]
    with pytest.raises(errors.UnrecognisedAnswer):
        protocol.decipher_transactions(response(200, {"links": [], "collection": items}))

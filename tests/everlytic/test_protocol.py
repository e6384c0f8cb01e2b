"""Bytes in, values or exactly one error out."""

import contextlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everlytic import errors, protocol
from everlytic.errors import EverlyticError, Outcome
from everlytic.models import Transaction
from everlytic.protocol import Response

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def response(status: int, body: object = None, headers: Mapping[str, str] | None = None) -> Response:
    """A response whose body is JSON unless given as bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.lower(): value for name, value in (headers or {}).items()}, content)


def v1_problem(reason: str, status: int = 400) -> Response:
    """A v1 error body with one reason."""
    problem = {
        "domain": "global",
        "reason": reason,
        "message": "m",
        "locationType": "request",
        "location": "headers.to",
    }
    return response(status, {"code": status, "message": "bad", "error": {"errors": [problem]}})


def test_a_send_gives_its_transaction_ids() -> None:
    """Any 2xx with ids is a success, with the ids in order."""
    for status in (200, 201, 202):
        result = protocol.decipher_send(response(status, {"transactions": [{"id": "a"}, {"id": "b"}]}))
        assert result.transaction_ids == ("a", "b")
        assert result.transaction_id == "a"


def test_how_deep_an_answer_may_nest() -> None:
    """An answer of 256 levels is read, and one of 257 is not recognised: whether the mail was sent is not known."""
    body = b'{"transactions": [{"id": "a"}], "x": %b}'
    deep = body % (b"[" * 255 + b"]" * 255)
    assert protocol.decipher_send(response(200, deep)).transaction_ids == ("a",)
    for levels in (256, 20_000):
        with pytest.raises(errors.UnrecognisedAnswer):
            protocol.decipher_send(response(200, body % (b"[" * levels + b"]" * levels)))


@pytest.mark.parametrize(
    ("answer", "kind", "outcome"),
    [
        (response(401, {"code": 401, "message": "Login Required"}), errors.Unauthorized, Outcome.REJECTED),
        (response(401, b"<html>"), errors.Unauthorized, Outcome.REJECTED),
        (response(403, {"code": 403, "message": "Forbidden"}), errors.Unauthorized, Outcome.REJECTED),
        (response(403, b"\n<html>cloudflare"), errors.Unavailable, Outcome.REJECTED),
        (response(403, {"code": 403, "message": "Monthly quota exceeded"}), errors.QuotaUsedUp, Outcome.REJECTED),
        (response(403, {"error": {"errors": [{"reason": "quotaExceeded"}]}}), errors.QuotaUsedUp, Outcome.REJECTED),
        (response(429, {"code": 429, "message": "Out of credits"}), errors.QuotaUsedUp, Outcome.REJECTED),
        (response(429, {"code": 429, "message": "Bad credentials"}), errors.RateLimited, Outcome.REJECTED),
        (v1_problem("required"), errors.InvalidRequest, Outcome.REJECTED),
        (v1_problem("invalid", 422), errors.InvalidRequest, Outcome.REJECTED),
        (v1_problem("somethingNew"), errors.UnrecognisedAnswer, Outcome.UNKNOWN),
        (response(400, {"error": {"code": "10601", "message": "x"}}), errors.UnrecognisedAnswer, Outcome.UNKNOWN),
        (response(400, {"error": {"code": "10900", "message": "x"}}), errors.UnrecognisedAnswer, Outcome.UNKNOWN),
        (response(402, {}), errors.QuotaUsedUp, Outcome.REJECTED),
        (response(404, b"nginx"), errors.UnrecognisedAnswer, Outcome.UNKNOWN),
        (response(302, b"", {"location": "/login"}), errors.UnrecognisedAnswer, Outcome.UNKNOWN),
        (response(429, b"", {"Retry-After": "7"}), errors.RateLimited, Outcome.REJECTED),
        (response(429, b"<html>"), errors.RateLimited, Outcome.REJECTED),
        (response(503, b"", {"Retry-After": "7"}), errors.Unavailable, Outcome.REJECTED),
        (response(503, {}), errors.ProviderBroken, Outcome.UNKNOWN),
        (response(500, {"code": 500, "message": "x"}), errors.ProviderBroken, Outcome.UNKNOWN),
        (response(520, b"<html>Cloudflare"), errors.ProviderBroken, Outcome.UNKNOWN),
        (response(200, b'{"transactions":[{"id":"1b0'), errors.UnrecognisedAnswer, Outcome.UNKNOWN),
        (response(200, b"<html>"), errors.UnrecognisedAnswer, Outcome.UNKNOWN),
        (response(200, b"\xff\xfe\x00"), errors.UnrecognisedAnswer, Outcome.UNKNOWN),
        (response(200, {"transactions": []}), errors.UnrecognisedAnswer, Outcome.UNKNOWN),
        (response(200, {"transactions": [{"id": None}]}), errors.UnrecognisedAnswer, Outcome.UNKNOWN),
        (response(200, {"transactions": [{"id": "a"}, {}]}), errors.UnrecognisedAnswer, Outcome.UNKNOWN),
        (response(200, {"transactions": 3}), errors.UnrecognisedAnswer, Outcome.UNKNOWN),
        (response(200, {}), errors.UnrecognisedAnswer, Outcome.UNKNOWN),
        (response(204, b""), errors.UnrecognisedAnswer, Outcome.UNKNOWN),
    ],
)
def test_each_failed_send_is_one_error_with_a_known_outcome(
    answer: Response, kind: type[EverlyticError], outcome: Outcome
) -> None:
    """A send that is not a clear success says exactly whether the mail may be out."""
    with pytest.raises(EverlyticError) as caught:
        protocol.decipher_send(answer, NOW)
    assert type(caught.value) is kind
    assert caught.value.outcome is outcome
    assert caught.value.status == answer.status


@pytest.mark.parametrize("status", [100, 199, 200, 299, 300, 399, 400, 499, 500, 599])
def test_only_a_2xx_is_a_success(status: int) -> None:
    """With the same ids in its body, 200 to 299 is a success, from 500 on the provider failed, others are unknown."""
    answer = response(status, {"transactions": [{"id": "a"}]})
    if 200 <= status <= 299:
        assert protocol.decipher_send(answer).transaction_ids == ("a",)
        return
    with pytest.raises(errors.OutcomeUnknown) as caught:
        protocol.decipher_send(answer)
    assert type(caught.value) is (errors.ProviderBroken if status >= 500 else errors.UnrecognisedAnswer)


@pytest.mark.parametrize("reason", ["required", "invalid"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidRequest),
        (404, errors.InvalidRequest),
        (422, errors.InvalidRequest),
        (399, errors.UnrecognisedAnswer),
        (405, errors.UnrecognisedAnswer),
        (409, errors.UnrecognisedAnswer),
        (413, errors.UnrecognisedAnswer),
        (421, errors.UnrecognisedAnswer),
        (423, errors.UnrecognisedAnswer),
        (499, errors.UnrecognisedAnswer),
        (500, errors.ProviderBroken),
    ],
)
def test_a_recognised_reason_refuses_a_send_only_under_a_status_of_validation(
    reason: str, status: int, kind: type[EverlyticError]
) -> None:
    """Under 400, 404 and 422 the mail was refused; under any other status the same body proves nothing."""
    with pytest.raises(EverlyticError) as caught:
        protocol.decipher_send(v1_problem(reason, status))
    assert type(caught.value) is kind


@pytest.mark.parametrize("reasons", [["required", "new"], ["new", "invalid"], ["", "required"]])
def test_one_unknown_reason_among_known_ones_proves_nothing(reasons: list[str]) -> None:
    """A refusal is one only if each of its reasons is known."""
    body = {"error": {"errors": [{"reason": reason, "location": "x"} for reason in reasons]}}
    with pytest.raises(errors.UnrecognisedAnswer):
        protocol.decipher_send(response(400, body))


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize(
    ("words", "is_quota"),
    [
        ("Quota", True),
        ("your allowance", True),
        ("no credit", True),
        ("no credits left", True),
        ("daily limit", True),
        ("monthly-limit", True),
        ("sending_limit", True),
        ("message limit", True),
        ("accredited", False),
        ("credentials", False),
        ("rate limit", False),
        ("limit", False),
        ("", False),
    ],
)
def test_each_word_of_a_used_up_quota_is_recognised(status: int, words: str, is_quota: bool) -> None:
    """Each word, in the message or in a reason, tells a used up quota from a refused key and from a rate limit."""
    otherwise = errors.Unauthorized if status == 403 else errors.RateLimited
    for body in ({"message": words}, {"error": {"errors": [{"reason": words}]}}, {"error": {"code": words}}):
        with pytest.raises(EverlyticError) as caught:
            protocol.decipher_send(response(status, body))
        assert type(caught.value) is (errors.QuotaUsedUp if is_quota else otherwise)


@pytest.mark.parametrize("length", [0, 1, 299, 300, 301])
def test_a_message_is_quoted_up_to_300_characters(length: int) -> None:
    """The provider's message stands at the end of the sentence, cut after 300 characters."""
    with pytest.raises(errors.ProviderBroken) as caught:
        protocol.decipher_send(response(500, {"message": "x" * length}))
    said = f" It says: {'x' * min(length, 300)}" if length else ""
    assert str(caught.value) == f"Everlytic failed with 500; whether it acted is not known.{said}"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"code": 10601}, "10601"),
        ({"error": {"code": "10601"}}, "10601"),
        ({"code": 1, "error": {"code": 2}}, "1"),
        ({}, None),
    ],
)
def test_the_code_of_either_host_is_kept(body: dict[str, object], code: str | None) -> None:
    """v1 writes its code at the top, the tenant API inside `error`; the top counts first."""
    with pytest.raises(EverlyticError) as caught:
        protocol.decipher_send(response(400, body))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "transactions", [[{"id": ""}], [{"id": "a"}, {"id": ""}], [{"id": 7}], ["a"], [{"id": "a"}, "b"]]
)
def test_an_id_that_is_no_text_is_no_success(transactions: list[object]) -> None:
    """Each recipient has an id that is a text with at least one character, or the outcome is unknown."""
    with pytest.raises(errors.UnrecognisedAnswer):
        protocol.decipher_send(response(200, {"transactions": transactions}))


@given(
    status=st.integers(200, 599),
    body=st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["transactions", "id", "error", "errors", "code", "message", "reason"]),
                inner,
                max_size=3,
            )
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode()),
)
def test_any_answer_is_a_result_or_one_of_our_errors(status: int, body: bytes) -> None:
    """No body, however strange, makes the send raise anything but our errors, and none is taken for a success."""
    try:
        result = protocol.decipher_send(Response(status, {}, body))
    except EverlyticError:
        return
    assert 200 <= status < 300
    assert all(result.transaction_ids)


@given(
    body=st.binary(max_size=100)
    | st.sampled_from([b"{}", b"[]", b'{"collection":[1]}', b'{"item":3}', b'{"data":[{}]}'])
)
def test_reads_survive_any_body(body: bytes) -> None:
    """Every deciphering of a read ends in a value or one of our errors."""
    answer = Response(200, {}, body)
    for decipher in (
        protocol.decipher_webhook,
        protocol.decipher_webhooks,
        protocol.decipher_status,
        protocol.decipher_transaction,
        protocol.decipher_transactions,
        protocol.decipher_callback_events,
        protocol.decipher_bulk_emails,
    ):
        with contextlib.suppress(EverlyticError):
            decipher(answer)


@pytest.mark.parametrize(
    ("headers", "now", "seconds"),
    [
        ({"retry-after": "120"}, None, 120.0),
        ({"retry-after": " 0 "}, None, 0.0),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}, NOW, 90.0),
        ({"retry-after": format_datetime(NOW - timedelta(seconds=90), usegmt=True)}, NOW, 0.0),
        (
            {
                "retry-after": format_datetime(NOW + timedelta(seconds=30), usegmt=True),
                "date": format_datetime(NOW, usegmt=True),
            },
            NOW + timedelta(days=9),
            30.0,
        ),
        ({"retry-after": format_datetime(NOW, usegmt=True)}, None, None),
        ({"retry-after": format_datetime(NOW, usegmt=True).replace("GMT", "-0000")}, NOW - timedelta(seconds=5), 5.0),
        ({"retry-after": format_datetime(NOW, usegmt=True)}, NOW - timedelta(seconds=1), 1.0),
        ({"retry-after": format_datetime(NOW, usegmt=True)}, NOW, 0.0),
        ({"retry-after": format_datetime(NOW, usegmt=True)}, NOW + timedelta(seconds=1), 0.0),
        ({"retry-after": "9" * 308}, None, float("9" * 308)),
        ({"retry-after": "9" * 309}, None, None),
        ({"retry-after": "1.5"}, NOW, None),
        ({"retry-after": "soon"}, NOW, None),
        ({"retry-after": "-5"}, NOW, None),
        ({}, NOW, None),
    ],
)
def test_retry_after(headers: dict[str, str], now: datetime | None, seconds: float | None) -> None:
    """Seconds and dates are read; a date counts from the response's own date first."""
    assert protocol.retry_after_seconds(headers, now) == seconds


@given(st.text(max_size=40))
def test_retry_after_never_raises(text: str) -> None:
    """Whatever stands in Retry-After, the answer is None or seconds of at least 0."""
    seconds = protocol.retry_after_seconds({"retry-after": text, "date": format_datetime(NOW)}, NOW)
    assert seconds is None or seconds >= 0


def test_a_refusal_names_its_problems() -> None:
    """The provider's complaints, their places and its code are kept, and shown in the sentence."""
    with pytest.raises(errors.InvalidRequest, match=r"headers\.to: m") as caught:
        protocol.decipher_send(v1_problem("required"))
    assert caught.value.problems == (errors.Problem("headers.to", "required", "m"),)
    assert caught.value.code == "400"


def test_a_missing_thing_is_not_found_when_reading() -> None:
    """404 on a read says that it is not there; 400 that the request was wrong."""
    with pytest.raises(errors.NotFound):
        protocol.decipher_transaction(response(404, {"error": {"code": "404", "message": "x"}}))
    with pytest.raises(errors.InvalidRequest):
        protocol.decipher_transactions(response(400, {"error": {"code": "1", "message": "x"}}))


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
        ("2026-05-01T14:00:00+02:00", NOW),
        ("2026-05-01 12:00:00", NOW),
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

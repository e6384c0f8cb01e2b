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

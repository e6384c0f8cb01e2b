"""Tests the parsing of responses into values or exactly one error."""

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
    """Return a response; a body that is not bytes is encoded as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.lower(): value for name, value in (headers or {}).items()}, content)


def v1_problem(reason: str, status: int = 400) -> Response:
    """Return a v1 error with one reason."""
    problem = {
        "domain": "global",
        "reason": reason,
        "message": "m",
        "locationType": "request",
        "location": "headers.to",
    }
    return response(status, {"code": status, "message": "bad", "error": {"errors": [problem]}})


def test_a_send_returns_its_transaction_ids() -> None:
    """A 2xx with ids is a success, and the ids are in order."""
    for status in (200, 201, 202):
        result = protocol.parse_send(response(status, {"transactions": [{"id": "a"}, {"id": "b"}]}))
        assert result.transaction_ids == ("a", "b")
        assert result.transaction_id == "a"


def test_response_depth_is_limited() -> None:
    """A response of 256 levels is parsed; one of 257 raises UnrecognisedResponse, an unknown outcome."""
    body = b'{"transactions": [{"id": "a"}], "x": %b}'
    deepest = body % (b"[" * 255 + b"]" * 255)
    assert protocol.parse_send(response(200, deepest)).transaction_ids == ("a",)
    for levels in (256, 20_000):
        with pytest.raises(errors.UnrecognisedResponse):
            protocol.parse_send(response(200, body % (b"[" * levels + b"]" * levels)))


@pytest.mark.parametrize(
    ("answer", "kind", "outcome"),
    [
        (response(401, {"code": 401, "message": "Login Required"}), errors.Unauthorized, Outcome.REJECTED),
        (response(401, b"<html>"), errors.Unauthorized, Outcome.REJECTED),
        (response(403, {"code": 403, "message": "Forbidden"}), errors.Unauthorized, Outcome.REJECTED),
        (response(403, b"\n<html>cloudflare"), errors.Unavailable, Outcome.REJECTED),
        (response(403, {"code": 403, "message": "Monthly quota exceeded"}), errors.QuotaExceeded, Outcome.REJECTED),
        (response(403, {"error": {"errors": [{"reason": "quotaExceeded"}]}}), errors.QuotaExceeded, Outcome.REJECTED),
        (response(429, {"code": 429, "message": "Out of credits"}), errors.QuotaExceeded, Outcome.REJECTED),
        (response(429, {"code": 429, "message": "Bad credentials"}), errors.RateLimited, Outcome.REJECTED),
        (v1_problem("required"), errors.InvalidRequest, Outcome.REJECTED),
        (v1_problem("invalid", 422), errors.InvalidRequest, Outcome.REJECTED),
        (v1_problem("somethingNew"), errors.UnrecognisedResponse, Outcome.UNKNOWN),
        (response(400, {"error": {"code": "10601", "message": "x"}}), errors.UnrecognisedResponse, Outcome.UNKNOWN),
        (response(400, {"error": {"code": "10900", "message": "x"}}), errors.UnrecognisedResponse, Outcome.UNKNOWN),
        (response(402, {}), errors.QuotaExceeded, Outcome.REJECTED),
        (response(404, b"nginx"), errors.UnrecognisedResponse, Outcome.UNKNOWN),
        (response(302, b"", {"location": "/login"}), errors.UnrecognisedResponse, Outcome.UNKNOWN),
        (response(429, b"", {"Retry-After": "7"}), errors.RateLimited, Outcome.REJECTED),
        (response(429, b"<html>"), errors.RateLimited, Outcome.REJECTED),
        (response(503, b"", {"Retry-After": "7"}), errors.Unavailable, Outcome.REJECTED),
        (response(503, {}), errors.ServerError, Outcome.UNKNOWN),
        (response(500, {"code": 500, "message": "x"}), errors.ServerError, Outcome.UNKNOWN),
        (response(520, b"<html>Cloudflare"), errors.ServerError, Outcome.UNKNOWN),
        (response(200, b'{"transactions":[{"id":"1b0'), errors.UnrecognisedResponse, Outcome.UNKNOWN),
        (response(200, b"<html>"), errors.UnrecognisedResponse, Outcome.UNKNOWN),
        (response(200, b"\xff\xfe\x00"), errors.UnrecognisedResponse, Outcome.UNKNOWN),
        (response(200, {"transactions": []}), errors.UnrecognisedResponse, Outcome.UNKNOWN),
        (response(200, {"transactions": [{"id": None}]}), errors.UnrecognisedResponse, Outcome.UNKNOWN),
        (response(200, {"transactions": [{"id": "a"}, {}]}), errors.UnrecognisedResponse, Outcome.UNKNOWN),
        (response(200, {"transactions": 3}), errors.UnrecognisedResponse, Outcome.UNKNOWN),
        (response(200, {}), errors.UnrecognisedResponse, Outcome.UNKNOWN),
        (response(204, b""), errors.UnrecognisedResponse, Outcome.UNKNOWN),
    ],
)
def test_each_failed_send_is_one_error_with_its_outcome(
    answer: Response, kind: type[EverlyticError], outcome: Outcome
) -> None:
    """Each response other than a success raises its error, which says whether the mail may have been sent."""
    with pytest.raises(EverlyticError) as caught:
        protocol.parse_send(answer, NOW)
    assert type(caught.value) is kind
    assert caught.value.outcome is outcome
    assert caught.value.status == answer.status


@pytest.mark.parametrize("status", [100, 199, 200, 299, 300, 399, 400, 499, 500, 599])
def test_only_a_2xx_is_a_success(status: int) -> None:
    """With the same body 200 to 299 is a success, 500 and above a ServerError, anything else unrecognised."""
    answer = response(status, {"transactions": [{"id": "a"}]})
    if 200 <= status <= 299:
        assert protocol.parse_send(answer).transaction_ids == ("a",)
        return
    with pytest.raises(errors.OutcomeUnknown) as caught:
        protocol.parse_send(answer)
    assert type(caught.value) is (errors.ServerError if status >= 500 else errors.UnrecognisedResponse)


@pytest.mark.parametrize("reason", ["required", "invalid"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidRequest),
        (404, errors.InvalidRequest),
        (422, errors.InvalidRequest),
        (399, errors.UnrecognisedResponse),
        (405, errors.UnrecognisedResponse),
        (409, errors.UnrecognisedResponse),
        (413, errors.UnrecognisedResponse),
        (421, errors.UnrecognisedResponse),
        (423, errors.UnrecognisedResponse),
        (499, errors.UnrecognisedResponse),
        (500, errors.ServerError),
    ],
)
def test_a_recognised_reason_counts_only_with_a_validation_status(
    reason: str, status: int, kind: type[EverlyticError]
) -> None:
    """With 400, 404 and 422 the mail was refused; with any other status the same body proves nothing."""
    with pytest.raises(EverlyticError) as caught:
        protocol.parse_send(v1_problem(reason, status))
    assert type(caught.value) is kind


@pytest.mark.parametrize("reasons", [["required", "new"], ["new", "invalid"], ["", "required"]])
def test_an_unknown_reason_among_known_ones_proves_nothing(reasons: list[str]) -> None:
    """A 400 proves a refusal only when all of its reasons are known."""
    body = {"error": {"errors": [{"reason": reason, "location": "x"} for reason in reasons]}}
    with pytest.raises(errors.UnrecognisedResponse):
        protocol.parse_send(response(400, body))


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
def test_quota_errors_are_recognised_by_words(status: int, words: str, is_quota: bool) -> None:
    """Words in the message, reason or code distinguish a quota from refused credentials and from a rate limit."""
    otherwise = errors.Unauthorized if status == 403 else errors.RateLimited
    for body in ({"message": words}, {"error": {"errors": [{"reason": words}]}}, {"error": {"code": words}}):
        with pytest.raises(EverlyticError) as caught:
            protocol.parse_send(response(status, body))
        assert type(caught.value) is (errors.QuotaExceeded if is_quota else otherwise)


def test_an_error_shows_the_length_of_the_answer_and_no_word_of_it() -> None:
    """The error's sentence has the status and the length of the answer, and nothing that the provider says."""
    with pytest.raises(errors.ServerError) as caught:
        protocol.parse_send(response(500, {"message": "x"}))
    assert str(caught.value) == "Everlytic failed with 500; the request may have taken effect. Its answer has 16 bytes."


@pytest.mark.parametrize(
    ("location", "field"),
    [
        ("headers.subject", "headers.subject"),
        ("headers.to[0].email", "headers.to"),
        ("attachments", "attachments"),
        ("headers.subjects", None),
        ("x headers.subject", None),
        ("", None),
    ],
)
def test_an_error_names_a_field_that_was_sent(location: str, field: str | None) -> None:
    """A problem's location is shown if it is a field of our own request."""
    body = {"error": {"errors": [{"location": location, "reason": "invalid", "message": "x"}]}}
    with pytest.raises(errors.InvalidRequest) as caught:
        protocol.parse_send(response(400, body))
    assert ("It concerns" in str(caught.value)) is (field is not None)
    assert field is None or f"It concerns {field}." in str(caught.value)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"code": 10601}, "10601"),
        ({"error": {"code": "10601"}}, "10601"),
        ({"code": 1, "error": {"code": 2}}, "1"),
        ({}, None),
    ],
)
def test_the_error_code_of_either_host_is_kept(body: dict[str, object], code: str | None) -> None:
    """The code is read from the top level (v1) or from `error` (tenant API); the top level has precedence."""
    with pytest.raises(EverlyticError) as caught:
        protocol.parse_send(response(400, body))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "transactions", [[{"id": ""}], [{"id": "a"}, {"id": ""}], [{"id": 7}], ["a"], [{"id": "a"}, "b"]]
)
def test_an_invalid_transaction_id_is_an_unknown_outcome(transactions: list[object]) -> None:
    """A transaction id that is empty, not a text or missing raises UnrecognisedResponse."""
    with pytest.raises(errors.UnrecognisedResponse):
        protocol.parse_send(response(200, {"transactions": transactions}))


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
def test_any_response_is_a_result_or_an_everlytic_error(status: int, body: bytes) -> None:
    """A send with any response body gives ids or an EverlyticError."""
    try:
        result = protocol.parse_send(Response(status, {}, body))
    except EverlyticError:
        return
    assert 200 <= status < 300
    assert all(result.transaction_ids)


@given(
    body=st.binary(max_size=100)
    | st.sampled_from([b"{}", b"[]", b'{"collection":[1]}', b'{"item":3}', b'{"data":[{}]}'])
)
def test_any_body_of_a_read_is_a_value_or_an_everlytic_error(body: bytes) -> None:
    """Each parser of a read gives a value or an EverlyticError for any body."""
    answer = Response(200, {}, body)
    for parse in (
        protocol.parse_webhook,
        protocol.parse_webhooks,
        protocol.parse_status,
        protocol.parse_transaction,
        protocol.parse_transactions,
        protocol.parse_callback_events,
        protocol.parse_bulk_emails,
    ):
        with contextlib.suppress(EverlyticError):
            parse(answer)


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
    """Seconds and dates are parsed; a date is relative to the Date header, or else to the clock."""
    assert protocol.parse_retry_after(headers, now) == seconds


@given(st.text(max_size=40))
def test_retry_after_never_raises(text: str) -> None:
    """Any text in Retry-After gives None or seconds of at least 0."""
    seconds = protocol.parse_retry_after({"retry-after": text, "date": format_datetime(NOW)}, NOW)
    assert seconds is None or seconds >= 0


def test_a_refusal_names_its_problems() -> None:
    """The error has the provider's problems and code, and its sentence names the field."""
    with pytest.raises(errors.InvalidRequest, match=r"headers\.to\.") as caught:
        protocol.parse_send(v1_problem("required"))
    assert caught.value.problems == (errors.Problem("headers.to", "required", "m"),)
    assert caught.value.code == "400"


def test_a_404_of_a_read_is_not_found() -> None:
    """A 404 of a read raises NotFound, a 400 InvalidRequest."""
    with pytest.raises(errors.NotFound):
        protocol.parse_transaction(response(404, {"error": {"code": "404", "message": "x"}}))
    with pytest.raises(errors.InvalidRequest):
        protocol.parse_transactions(response(400, {"error": {"code": "1", "message": "x"}}))

"""Pushed bodies of every shape become events with one stable key."""

import contextlib
import json
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everlytic.errors import MalformedDelivery
from everlytic.models import CallbackEvent, ProviderEventType
from everlytic.requests import basic_authorization
from everlytic.webhooks import ProviderEvent, from_callback_event, matches_basic, parse_delivery, read_record

RECEIVED = datetime(2026, 1, 5, 16, tzinfo=UTC)
AT = datetime(2026, 1, 5, 15, 41, 31, tzinfo=UTC)
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


def standard(**changes: object) -> dict[str, object]:
    """A standard click payload."""
    return {
        "id": "event-1",
        "type": "click",
        "timestamp": "2026-01-05T15:41:31Z",
        "data": [
            {
                "transaction": {
                    "id": "t-1",
                    "message_id": "draft-1",
                    "method": "rest",
                    "group": {"id": "g-1", "name": "sequence-1"},
                    "sent_timestamp": "2026-01-05T15:41:30Z",
                    "subject": "Hi",
                },
                "recipient": {"name": "Thandi", "email": "lead@example.test"},
                "link_url": "https://x.test/a",
            }
        ],
        **changes,
    }


def legacy(**changes: object) -> dict[str, object]:
    """The same click in the legacy field set, with another event id and transaction id."""
    return {
        "event": {
            "event_id": "5f0000000000000000000009",
            "event_date": int(AT.timestamp()),
            "event_type": "clicked",
            "email_to": "Lead@example.test",
            "group_name": "sequence-1",
            "custom_headers": {"X-SalesMatter-Draft": ["draft-1"]},
            "trans_id": "5f0000000000000000000001",
            "link_url": "https://x.test/a",
            **changes,
        }
    }


def only(payload: object, content_type: str = JSON) -> ProviderEvent:
    """The one event of a JSON payload."""
    (event,) = parse_delivery(json.dumps(payload).encode(), content_type, RECEIVED)
    return event


def test_a_standard_payload() -> None:
    """Every field of the standard set is found where it is, and what is left over is data."""
    event = only(standard())
    assert event.type is ProviderEventType.CLICK
    assert event.occurred_at == AT
    assert (event.transaction_id, event.message_id, event.recipient) == ("t-1", "draft-1", "lead@example.test")
    assert (event.group_name, event.event_id) == ("sequence-1", "event-1")
    assert event.data == {"link_url": "https://x.test/a"}


def test_pushed_and_polled_share_a_key() -> None:
    """The same event has one key as standard push, legacy push and polled item, although ids differ between them."""
    polled = from_callback_event(CallbackEvent.model_validate(legacy()["event"]))
    assert only(standard()).key == only(legacy()).key == polled.key


@pytest.mark.parametrize(
    "moment", [int(AT.timestamp()), str(int(AT.timestamp())), "2026-01-05 15:41:31", "2026-01-05T17:41:31.6+02:00"]
)
def test_times_in_every_likely_format(moment: object) -> None:
    """Unix seconds, their digits, plain text in UTC and ISO with an offset mean the same second and the same key."""
    event = only(legacy(event_date=moment))
    assert int(event.occurred_at.timestamp()) == int(AT.timestamp())
    assert event.key == only(standard()).key


@pytest.mark.parametrize(
    "other",
    [
        standard(type="open"),
        standard(timestamp="2026-01-05T15:41:32Z"),
        legacy(link_url="https://x.test/b"),
        legacy(email_to="cc@example.test"),
        legacy(custom_headers={"X-SalesMatter-Draft": ["draft-2"]}),
    ],
)
def test_different_events_have_different_keys(other: object) -> None:
    """Type, second, link, recipient and mail each tell two events apart."""
    assert only(other).key != only(standard()).key


def test_several_records_are_several_events() -> None:
    """Each entry of data is an event; entries may carry their own time and type."""
    record = standard()["data"][0]  # type: ignore[index] # the helper builds a list
    later = {**record, "timestamp": "2026-01-05T15:42:00Z", "id": "event-2"}
    found = parse_delivery(json.dumps(standard(data=[record, later])).encode(), JSON, RECEIVED)
    assert [one.event_id for one in found] == ["event-1", "event-2"]
    assert len({one.key for one in found}) == 2


@pytest.mark.parametrize(
    "body",
    [
        urlencode({"event": json.dumps(legacy()["event"])}),
        urlencode({"event": json.dumps(legacy())}),
        urlencode({"event": json.dumps(standard())}),
        (
            "event[event_date]=2026-01-05+15%3A41%3A31&event[event_type]=clicked&event[email_to]=lead%40example.test"
            "&event[link_url]=https%3A%2F%2Fx.test%2Fa&event[custom_headers][X-SalesMatter-Draft][0]=draft-1"
        ),
        (
            "id=event-1&type=click&timestamp=2026-01-05T15%3A41%3A31Z&data[0][transaction][message_id]=draft-1"
            "&data[0][recipient][email]=lead%40example.test&data[0][link_url]=https%3A%2F%2Fx.test%2Fa"
        ),
    ],
)
@pytest.mark.parametrize("content_type", [FORM, FORM + "; charset=utf-8", JSON])
def test_forms_of_every_likely_shape(body: str, content_type: str) -> None:
    """A form with JSON in `event`, or with PHP brackets, is the same event, even under the wrong content type."""
    (event,) = parse_delivery(body.encode(), content_type, RECEIVED)
    assert event.key == only(standard()).key


@pytest.mark.parametrize(
    ("word", "type_"),
    [
        ("Opened", "open"),
        ("BOUNCED", "bounce"),
        ("Unsubscribe", "unsubscribe"),
        ("sent", "sent"),
        ("complaint", "complaint"),
        ("amp_interaction", "amp_interaction"),
    ],
)
def test_type_words(word: str, type_: str) -> None:
    """Legacy labels become the documented types; unknown ones stay as they are."""
    assert only(legacy(event_type=word)).type == type_


def test_an_event_without_time_is_keyed_by_its_id() -> None:
    """Without a readable time the time of receipt stands in, and a repeat still has the same key."""
    first = only(standard(timestamp="soon"))
    again = parse_delivery(json.dumps(standard(timestamp="soon")).encode(), JSON, AT)[0]
    assert first.occurred_at == RECEIVED
    assert first.key == again.key


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b"3", b'"x"', b"\xff\xfe", b"hello", b"a=b", b"{}", b'{"data":[]}', b'{"event":7}'],
)
@pytest.mark.parametrize("content_type", [JSON, FORM, ""])
def test_what_cannot_be_read_is_malformed(body: bytes, content_type: str) -> None:
    """A body without any event raises MalformedDelivery and nothing else."""
    with pytest.raises(MalformedDelivery):
        parse_delivery(body, content_type, RECEIVED)


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


_FIELDS = (
    *("event", "data", "id", "type", "timestamp", "transaction", "recipient", "group", "custom_headers", "email"),
    *("event_type", "event_date", "event_id", "trans_id", "email_to", "name", "link_url"),
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_FIELDS), inner, max_size=5),
    max_leaves=20,
)


@given(_VALUES)
def test_no_json_breaks_the_parser(value: object) -> None:
    """Any JSON is read into events or refused as malformed; keys are stable."""
    body = json.dumps(value).encode()
    try:
        events = parse_delivery(body, JSON, RECEIVED)
    except MalformedDelivery:
        return
    assert events == parse_delivery(body, JSON, RECEIVED) or "NaN" in body.decode()
    assert all(len(event.key) == 40 for event in events)


@given(
    st.binary(max_size=80) | st.text('event[]=&{}"%:0a', max_size=40).map(str.encode),
    st.sampled_from([JSON, FORM, "x"]),
)
def test_no_bytes_break_the_parser(body: bytes, content_type: str) -> None:
    """Arbitrary bytes never raise anything but MalformedDelivery."""
    with contextlib.suppress(MalformedDelivery):
        parse_delivery(body, content_type, RECEIVED)


@given(st.text(max_size=10), st.text(max_size=10))
def test_basic_matches_only_itself(username: str, password: str) -> None:
    """Exactly the registered credentials pass."""
    header = basic_authorization("hook", "pa:ss")
    assert matches_basic(header, "hook", "pa:ss")
    assert matches_basic(header, username, password) == (f"{username}:{password}" == "hook:pa:ss")


@pytest.mark.parametrize("header", [None, "", "Basic", "Basic !!!", "Bearer aG9vazpwOnM=", "Basic aG9vazpwYQ"])
def test_other_authorization_fails(header: str | None) -> None:
    """Absent, broken and foreign headers fail without an exception."""
    assert not matches_basic(header, "hook", "pa:ss")


def test_who_knows_the_mail_names_it_for_both_feeds() -> None:
    """A push that names the mail in its own way has, once the mail is known, the key of one that names it in ours."""
    body = standard()
    record = body["data"][0]  # type: ignore[index]
    record["transaction"]["message_id"] = "rfc-id@mail.example"
    unnamed = only(body)
    assert unnamed.key != only(standard()).key
    assert unnamed.about("draft-1").key == only(standard()).key == only(legacy()).about("draft-1").key
    assert only(legacy(event_date=None)).about("draft-2").key == only(legacy(event_date=None)).key


@pytest.mark.parametrize("record", [None, [], "x", {}, {"event_type": ""}, {"event_id": 1}])
def test_a_polled_record_that_says_nothing(record: object) -> None:
    """What is no object, or does not say what happened, is refused."""
    with pytest.raises(MalformedDelivery):
        read_record(record, RECEIVED)


def test_a_polled_record_without_a_time() -> None:
    """An undated record happened when it was received, as a push would have."""
    record = legacy(event_date=None)["event"]
    assert isinstance(record, dict)
    assert read_record(record, RECEIVED) == only(legacy(event_date=None))

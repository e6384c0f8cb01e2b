"""Tests that webhook bodies of every shape become events with one stable key."""

import contextlib
import gzip
import json
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everlytic.errors import MalformedDelivery
from everlytic.models import CallbackEvent, ProviderEventType
from everlytic.webhook_bodies import MAX_UNZIPPED_BYTES
from everlytic.webhooks import ProviderEvent, parse_callback_event, parse_delivery, parse_record

RECEIVED = datetime(2026, 1, 5, 16, tzinfo=UTC)
AT = datetime(2026, 1, 5, 15, 41, 31, tzinfo=UTC)
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


def standard(**changes: object) -> dict[str, object]:
    """Return a standard payload of a click."""
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
    """Return the same click in the legacy field set, with another event id and transaction id."""
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
    """Parse a JSON payload and return its only event."""
    (event,) = parse_delivery(json.dumps(payload).encode(), content_type, RECEIVED)
    return event


def test_a_standard_payload_is_parsed() -> None:
    """Every field of the standard set is parsed, and the others are in `data`."""
    event = only(standard())
    assert event.type is ProviderEventType.CLICK
    assert event.occurred_at == AT
    assert (event.transaction_id, event.message_id, event.recipient) == ("t-1", "draft-1", "lead@example.test")
    assert (event.group_name, event.event_id) == ("sequence-1", "event-1")
    assert event.data == {"link_url": "https://x.test/a"}


def test_pushed_and_polled_events_share_a_key() -> None:
    """An event has the same key in a standard webhook, a legacy webhook and the polled list, with different ids."""
    polled = parse_callback_event(CallbackEvent.model_validate(legacy()["event"]))
    assert only(standard()).key == only(legacy()).key == polled.key


@pytest.mark.parametrize(
    "moment", [int(AT.timestamp()), str(int(AT.timestamp())), "2026-01-05 15:41:31", "2026-01-05T17:41:31.6+02:00"]
)
def test_the_time_format_does_not_change_the_key(moment: object) -> None:
    """Unix seconds, their digits, plain text in UTC and ISO with an offset give the same second and key."""
    event = only(legacy(event_date=moment))
    assert int(event.occurred_at.timestamp()) == int(AT.timestamp())
    assert event.key == only(standard()).key


@pytest.mark.parametrize(
    "other",
    [
        standard(type="open"),
        standard(timestamp="2026-01-05T15:41:32Z"),
        legacy(link_url="https://x.test/b"),
        legacy(custom_headers={"X-SalesMatter-Draft": ["draft-2"]}),
    ],
)
def test_different_events_have_different_keys(other: object) -> None:
    """Events that differ in type, second, link or mail have different keys."""
    assert only(other).key != only(standard()).key


@pytest.mark.parametrize("moment", ["2026-01-05 15:41:31", "", None])
@pytest.mark.parametrize("spelling", ["Anna b2b@Example.test", "ute@xn--bcher-kva.example", "ute@bücher.example", None])
def test_the_recipient_of_a_known_mail_does_not_change_the_key(spelling: str | None, moment: str | None) -> None:
    """An event of a known mail has one key, however its recipient is spelled, with a time and without."""
    event = only(legacy(email_to=spelling, event_date=moment, event_id=None))
    assert event.key == only(legacy(event_date=moment, event_id=None)).key


def test_several_records_are_several_events() -> None:
    """Each record in `data` is an event and may have its own time and id."""
    record = standard()["data"][0]  # type: ignore[index] # the helper builds a list
    later = {**record, "timestamp": "2026-01-05T15:42:00Z", "id": "event-2"}
    events = parse_delivery(json.dumps(standard(data=[record, later])).encode(), JSON, RECEIVED)
    assert [event.event_id for event in events] == ["event-1", "event-2"]
    assert len({event.key for event in events}) == 2


def test_a_legacy_list_is_several_events() -> None:
    """Each object of a list in `event` is an event; other values are skipped."""
    records = [legacy(event_id=name, event_date=None)["event"] for name in ("a", "b", "c")]
    events = parse_delivery(json.dumps({"event": [*records, 7]}).encode(), JSON, RECEIVED)
    assert [event.event_id for event in events] == ["a", "b", "c"]
    assert len({event.key for event in events}) == 3


def test_only_the_first_record_takes_the_id_of_the_delivery() -> None:
    """Of two records without time and id the first takes the delivery's id, so that they have different keys."""
    record = standard()["data"][0]  # type: ignore[index] # the helper builds a list
    body = standard(timestamp=None, data=[record, {**record, "link_url": "https://x.test/b"}])
    first, second = parse_delivery(json.dumps(body).encode(), JSON, RECEIVED)
    assert (first.event_id, second.event_id) == ("event-1", None)
    assert first.key != second.key
    assert (first.is_dated, second.is_dated) == (False, False)


def test_fields_of_the_record_have_precedence() -> None:
    """A record's own type and time have precedence over the delivery's, and our header over the message id."""
    record = standard()["data"][0]  # type: ignore[index] # the helper builds a list
    own_fields = {**record, "type": "open", "timestamp": "2026-01-05T15:42:00Z"}
    event = only(standard(data=[own_fields]))
    assert (event.type, event.occurred_at) == ("open", datetime(2026, 1, 5, 15, 42, tzinfo=UTC))
    headers = {"X-SalesMatter-Draft": ["draft-2"]}
    assert only(standard(data=[{**record, "custom_headers": headers}])).message_id == "draft-2"
    transaction = {**record["transaction"], "custom_headers": headers}
    assert only(standard(data=[{**record, "transaction": transaction}])).message_id == "draft-2"
    assert only(legacy(message_id="draft-3")).message_id == "draft-1"


def test_events_without_time_and_id_are_keyed_by_their_content() -> None:
    """Raw time, type, mail and link each change the key, and a repeated delivery has the same key.

    The recipient changes it only where no mail is known.
    """
    base = {"event_id": None, "event_date": "soon"}
    changes: list[dict[str, object]] = [
        {},
        {"event_date": "later"},
        {"event_type": "open"},
        {"custom_headers": {}},
        {"link_url": "https://x.test/b"},
    ]
    unassigned: dict[str, object] = {"custom_headers": {}, "trans_id": None}
    changes += [unassigned, {**unassigned, "email_to": "cc@example.test"}]
    keys = [only(legacy(**{**base, **change})).key for change in changes]
    assert len(set(keys)) == len(changes)
    assert keys == [only(legacy(**{**base, **change})).key for change in changes]


def test_an_event_without_a_mail_is_keyed_by_its_id() -> None:
    """With a time and an id but no mail, the key is of the id, and `with_message_id` does not change it."""
    unassigned: dict[str, object] = {"custom_headers": {}, "trans_id": None}
    event = only(legacy(**unassigned))
    assert (event.occurred_at, event.is_dated) == (AT, False)
    assert event.key == only(legacy(**unassigned, event_date=None)).key
    assert event.key != only(legacy(**unassigned, event_id="another")).key
    assert event.with_message_id("draft-1").key == event.key


@pytest.mark.parametrize(
    ("moment", "is_same"),
    [
        ("2026-01-05T15:41:30.999999Z", False),
        ("2026-01-05T15:41:31Z", True),
        ("2026-01-05T15:41:31.999999Z", True),
        ("2026-01-05T15:41:32Z", False),
    ],
)
def test_events_within_one_second_have_one_key(moment: str, is_same: bool) -> None:
    """The first and the last microsecond of a second give the same key; the microseconds next to them do not."""
    assert (only(standard(timestamp=moment)).key == only(standard()).key) is is_same


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_the_size_of_a_gzipped_body_is_limited(over: int) -> None:
    """A body that unzips to at most the limit is parsed; one byte more is refused."""
    payload = json.dumps(standard()).encode()
    body = gzip.compress(payload + b" " * (MAX_UNZIPPED_BYTES + over - len(payload)), compresslevel=1)
    if over <= 0:
        assert parse_delivery(body, JSON, RECEIVED)[0].key == only(standard()).key
        return
    with pytest.raises(MalformedDelivery, match="truncated, or larger than 52428800 bytes"):
        parse_delivery(body, JSON, RECEIVED)


@pytest.mark.parametrize("lost", [1, 8, 20])
def test_a_truncated_gzipped_body_is_refused(lost: int) -> None:
    """A gzipped body without its last byte, its checksum or its last words is malformed."""
    body = gzip.compress(json.dumps(standard()).encode())
    assert parse_delivery(body, JSON, RECEIVED)
    with pytest.raises(MalformedDelivery, match="truncated"):
        parse_delivery(body[:-lost], JSON, RECEIVED)


@pytest.mark.parametrize("name", ["event", "payload", "data"])
def test_a_form_may_have_json_in_several_fields(name: str) -> None:
    """JSON in a form field called event, payload or data is the same event."""
    body = urlencode({name: json.dumps(legacy()["event"])}).encode()
    assert parse_delivery(body, FORM, RECEIVED)[0].key == only(legacy()).key


def test_a_bracketed_list_is_in_numeric_order() -> None:
    """Twelve records with the indexes 0 to 11 are in numeric order: 10 follows 9 and not 1."""
    fields = {}
    for number in range(12):
        fields[f"event[{number}][event_type]"] = "open"
        fields[f"event[{number}][event_id]"] = f"e{number}"
    events = parse_delivery(urlencode(fields).encode(), FORM, RECEIVED)
    assert [event.event_id for event in events] == [f"e{number}" for number in range(12)]


@pytest.mark.parametrize(("digits", "is_list"), [(8, True), (9, True), (10, False)])
def test_an_index_in_brackets_has_at_most_nine_digits(digits: int, is_list: bool) -> None:
    """A number of up to nine digits in brackets is a list index; one of ten digits is a field name."""
    body = urlencode({f"event[{'1' * digits}][event_type]": "open"}).encode()
    if is_list:
        assert parse_delivery(body, FORM, RECEIVED)[0].type == "open"
        return
    event = parse_delivery(body, FORM, RECEIVED)[0]
    assert (event.type, event.data) == ("", {"1" * digits: {"event_type": "open"}})


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
def test_forms_of_every_shape(body: str, content_type: str) -> None:
    """A form with JSON in `event`, or with PHP brackets, is the same event, even with the wrong content type."""
    (event,) = parse_delivery(body.encode(), content_type, RECEIVED)
    assert event.key == only(standard()).key


@pytest.mark.parametrize(
    ("label", "type_"),
    [
        ("Opened", "open"),
        ("BOUNCED", "bounce"),
        ("Unsubscribe", "unsubscribe"),
        ("sent", "sent"),
        ("complaint", "complaint"),
        ("amp_interaction", "amp_interaction"),
    ],
)
def test_event_type_labels(label: str, type_: str) -> None:
    """Legacy labels become the documented types; unknown labels are kept in lower case."""
    assert only(legacy(event_type=label)).type == type_


def test_an_event_without_a_time_is_keyed_by_its_id() -> None:
    """Without a readable time the event gets the time of receipt, and a repeated delivery has the same key."""
    first = only(standard(timestamp="soon"))
    again = parse_delivery(json.dumps(standard(timestamp="soon")).encode(), JSON, AT)[0]
    assert first.occurred_at == RECEIVED
    assert first.key == again.key


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b"3", b'"x"', b"\xff\xfe", b"hello", b"a=b", b"{}", b'{"data":[]}', b'{"event":7}'],
)
@pytest.mark.parametrize("content_type", [JSON, FORM, ""])
def test_a_body_without_an_event_is_malformed(body: bytes, content_type: str) -> None:
    """A body without any event raises MalformedDelivery and no other error."""
    with pytest.raises(MalformedDelivery):
        parse_delivery(body, content_type, RECEIVED)


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
    """Any JSON gives events or raises MalformedDelivery, and the keys are stable."""
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
    """Arbitrary bytes raise no other error than MalformedDelivery."""
    with contextlib.suppress(MalformedDelivery):
        parse_delivery(body, content_type, RECEIVED)


def test_with_message_id_gives_the_common_key() -> None:
    """An event with another message id gets, through `with_message_id`, the key of the event with our id."""
    body = standard()
    record = body["data"][0]  # type: ignore[index]
    record["transaction"]["message_id"] = "rfc-id@mail.example"
    foreign = only(body)
    assert foreign.key != only(standard()).key
    assert (
        foreign.with_message_id("draft-1").key == only(standard()).key == only(legacy()).with_message_id("draft-1").key
    )
    assert only(legacy(event_date=None)).with_message_id("draft-2").key == only(legacy(event_date=None)).key


@pytest.mark.parametrize("record", [None, [], "x", {}, {"event_type": ""}, {"event_id": 1}])
def test_a_polled_record_without_a_type_is_refused(record: object) -> None:
    """A polled record that is not an object with an event type raises MalformedDelivery."""
    with pytest.raises(MalformedDelivery):
        parse_record(record, RECEIVED)


def test_a_polled_record_without_a_time_gets_the_time_of_receipt() -> None:
    """A polled record without a time gives the same event as a webhook without a time."""
    record = legacy(event_date=None)["event"]
    assert isinstance(record, dict)
    assert parse_record(record, RECEIVED) == only(legacy(event_date=None))


@pytest.mark.parametrize(
    ("ids", "event_ids"),
    [
        ([None, None, None], ["event-1", None, None]),
        (["own", None], ["own", None]),
        ([None, "own"], ["event-1", "own"]),
        (["no object", None, None], ["event-1", None]),
        (["no object", "own", None], ["own", None]),
    ],
)
def test_the_id_of_a_delivery_belongs_to_its_first_record(ids: list[str | None], event_ids: list[str | None]) -> None:
    """Each record has its own id; the delivery's id is for the first object of the list, and for no other."""
    record = standard()["data"][0]  # type: ignore[index] # the helper builds a list
    records = [id_ if id_ == "no object" else {**record, "id": id_} for id_ in ids]
    events = parse_delivery(json.dumps(standard(data=records)).encode(), JSON, RECEIVED)
    assert [event.event_id for event in events] == event_ids

"""Pushed bodies of every shape become events with one stable key."""

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
from everlytic.webhook_bodies import MOST_BYTES
from everlytic.webhooks import ProviderEvent, from_callback_event, parse_delivery, read_record

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


def test_a_legacy_list_is_as_many_events() -> None:
    """Each object of a list in `event` is an event, the first and the last as well, and others in it are passed."""
    records = [legacy(event_id=name, event_date=None)["event"] for name in ("a", "b", "c")]
    events = parse_delivery(json.dumps({"event": [*records, 7]}).encode(), JSON, RECEIVED)
    assert [event.event_id for event in events] == ["a", "b", "c"]
    assert len({event.key for event in events}) == 3


def test_the_id_of_a_delivery_is_that_of_its_first_record_alone() -> None:
    """Of two undated records without ids the first takes the delivery's id, and so they are two events."""
    record = standard()["data"][0]  # type: ignore[index] # the helper builds a list
    body = standard(timestamp=None, data=[record, {**record, "link_url": "https://x.test/b"}])
    first, second = parse_delivery(json.dumps(body).encode(), JSON, RECEIVED)
    assert (first.event_id, second.event_id) == ("event-1", None)
    assert first.key != second.key
    assert (first.is_dated, second.is_dated) == (False, False)


def test_what_a_record_says_itself_counts_before_what_its_delivery_says() -> None:
    """A record's own type and time win; our header wins over the message id, in the record or in its transaction."""
    record = standard()["data"][0]  # type: ignore[index] # the helper builds a list
    own = {**record, "type": "open", "timestamp": "2026-01-05T15:42:00Z"}
    event = only(standard(data=[own]))
    assert (event.type, event.occurred_at) == ("open", datetime(2026, 1, 5, 15, 42, tzinfo=UTC))
    headers = {"X-SalesMatter-Draft": ["draft-2"]}
    assert only(standard(data=[{**record, "custom_headers": headers}])).message_id == "draft-2"
    transaction = {**record["transaction"], "custom_headers": headers}
    assert only(standard(data=[{**record, "transaction": transaction}])).message_id == "draft-2"
    assert only(legacy(message_id="draft-3")).message_id == "draft-1"


def test_undated_events_without_an_id_differ_by_all_they_say() -> None:
    """Time as it was written, type, mail, recipient and link each tell two events apart; a repeat is the same event."""
    said = {"event_id": None, "event_date": "soon"}
    changes: list[dict[str, object]] = [
        {},
        {"event_date": "later"},
        {"event_type": "open"},
        {"custom_headers": {}},
        {"email_to": "cc@example.test"},
        {"link_url": "https://x.test/b"},
    ]
    keys = [only(legacy(**{**said, **change})).key for change in changes]
    assert len(set(keys)) == len(changes)
    assert keys == [only(legacy(**{**said, **change})).key for change in changes]


def test_a_dated_event_of_no_mail_is_keyed_by_its_id_whoever_finds_its_mail() -> None:
    """With a time and an id, and no mail, the id is the key; that of another id differs, and `about` leaves it."""
    nameless: dict[str, object] = {"custom_headers": {}, "trans_id": None}
    event = only(legacy(**nameless))
    assert (event.occurred_at, event.is_dated) == (AT, False)
    assert event.key == only(legacy(**nameless, event_date=None)).key
    assert event.key != only(legacy(**nameless, event_id="another")).key
    assert event.about("draft-1").key == event.key


@pytest.mark.parametrize(
    ("moment", "is_same"),
    [
        ("2026-01-05T15:41:30.999999Z", False),
        ("2026-01-05T15:41:31Z", True),
        ("2026-01-05T15:41:31.999999Z", True),
        ("2026-01-05T15:41:32Z", False),
    ],
)
def test_events_of_one_second_are_one(moment: str, is_same: bool) -> None:
    """The first and the last microsecond of a second give one key, those beside them another."""
    assert (only(standard(timestamp=moment)).key == only(standard()).key) is is_same


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_zipped_body_is_read_up_to_its_limit(over: int) -> None:
    """A body that unzips to one byte less than the limit or to the limit is read; one byte more is refused."""
    payload = json.dumps(standard()).encode()
    body = gzip.compress(payload + b" " * (MOST_BYTES + over - len(payload)), compresslevel=1)
    if over <= 0:
        assert parse_delivery(body, JSON, RECEIVED)[0].key == only(standard()).key
        return
    with pytest.raises(MalformedDelivery, match="cut off or larger than 52428800 bytes"):
        parse_delivery(body, JSON, RECEIVED)


@pytest.mark.parametrize("lost", [1, 8, 20])
def test_a_zipped_body_that_is_cut_off_is_refused(lost: int) -> None:
    """Without its last byte, without its checksum or without its last words, a zipped body is no delivery."""
    body = gzip.compress(json.dumps(standard()).encode())
    assert parse_delivery(body, JSON, RECEIVED)
    with pytest.raises(MalformedDelivery, match="zipped"):
        parse_delivery(body[:-lost], JSON, RECEIVED)


@pytest.mark.parametrize("name", ["event", "payload", "data"])
def test_a_form_may_carry_json_under_each_name(name: str) -> None:
    """JSON in a field called event, payload or data is read alike."""
    body = urlencode({name: json.dumps(legacy()["event"])}).encode()
    assert parse_delivery(body, FORM, RECEIVED)[0].key == only(legacy()).key


def test_a_bracketed_list_keeps_the_order_of_its_numbers() -> None:
    """Twelve records numbered 0 to 11 come in that order: 10 follows 9 and not 1."""
    fields = {}
    for number in range(12):
        fields[f"event[{number}][event_type]"] = "open"
        fields[f"event[{number}][event_id]"] = f"e{number}"
    events = parse_delivery(urlencode(fields).encode(), FORM, RECEIVED)
    assert [event.event_id for event in events] == [f"e{number}" for number in range(12)]


@pytest.mark.parametrize(("digits", "is_list"), [(8, True), (9, True), (10, False)])
def test_a_number_in_brackets_is_a_place_up_to_nine_digits(digits: int, is_list: bool) -> None:
    """A field numbered with up to nine digits makes a list; one with ten is a name, so it holds no event."""
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

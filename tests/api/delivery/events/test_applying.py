"""Provider rows that cannot be read, and those beside them."""

import gzip
import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.delivery.events import service
from database.tenancy import Scope, transaction
from tests.api.delivery.events.worlds import SENT_AT, Provider, polled, pushed

pytestmark = pytest.mark.anyio

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([10**400, "\x00", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("event_id", "event_date", "event_type", "email_to", "group_name", "custom_headers", "trans_id", "link_url")


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A pushed body in which any field may be anything."""
    record = {
        "transaction": draw(junk | st.fixed_dictionaries({"id": junk, "message_id": junk, "group": junk})),
        "recipient": draw(junk),
        "custom_headers": draw(junk),
        "timestamp": draw(junk),
        "type": draw(st.sampled_from(["open", "click", "bounce"]) | junk),
        draw(st.text()): draw(junk),
    }
    body = {"id": draw(junk), "type": draw(st.just("open") | junk), "data": draw(st.just([record]) | junk)}
    return json.dumps(body).encode()


@st.composite
def items(draw: st.DrawFn) -> str:
    """A polled record, as jsonb takes it, in which any field may be anything."""
    item = {name: draw(junk) for name in FIELDS} | {"event_type": draw(st.just("opened") | junk)}
    text = json.dumps(draw(st.just(item) | junk)).replace("Infinity", "9e999").replace("NaN", "0")
    return re.sub(r"\\u(?:0000|d[89a-f]..)", "?", text)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pushes=st.lists(bodies() | st.binary(max_size=50), min_size=1, max_size=6),
    polls=st.lists(items(), min_size=1, max_size=6),
)
async def test_junk_holds_up_nothing(provider: Provider, pushes: list[bytes], polls: list[str]) -> None:
    """Whatever is in any field of a push or a polled item, all of it is done with, and what is right is applied."""
    (draft_id,) = await provider.send()
    await provider.push(*pushes, pushed("delivered", draft_id, 1))
    await provider.poll(*polls, polled("opened", draft_id, 600))
    await provider.apply()

    await provider.errors()
    assert [one["type"] for one in await provider.events(draft_id)] == ["delivered", "opened"]


def opened_with(value: str) -> str:
    """Return a polled record that says something else too."""
    return f'{{"event_type": "opened", "x": {value}}}'


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=st.lists(st.dictionaries(st.sampled_from(["ip", "user_agent", "x"]) | st.text(), junk), max_size=4))
async def test_junk_about_a_mail_of_ours_is_stored(provider: Provider, fields: list[dict[str, Any]]) -> None:
    """An event of ours is stored and judged whatever else it tells, as far as that can be stored."""
    (draft_id,) = await provider.send()
    for second, data in enumerate(fields):
        body = json.loads(pushed("open", draft_id, 600 + second))
        taken = {*body["data"][0], "type", "timestamp", "id"}
        body["data"][0] |= {name: value for name, value in data.items() if name not in taken}
        await provider.push(json.dumps(body).encode())
    await provider.apply()

    assert await provider.errors() == [None] * len(await provider.errors())
    assert len(await provider.rules(draft_id)) == len(fields)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("{}", "The polled record is not an object with an event_type."),
        ("[1]", "The polled record is not an object with an event_type."),
        ('{"event_type": "opened", "x": 1e5000}', "The polled record contains a number longer than 600 characters."),
        ("[" * 5000 + "]" * 5000, "The polled record nests deeper than 256 levels."),
        (opened_with("[" * 50 + "]" * 50), "Events that nest deeper than 50 levels are not stored: 1 of 1."),
        (opened_with("[" * 255 + "]" * 255), "Events that nest deeper than 50 levels are not stored: 1 of 1."),
        (opened_with("[" * 256 + "]" * 256), "The polled record nests deeper than 256 levels."),
        (opened_with("9" * 601), "The polled record contains a number longer than 600 characters."),
    ],
)
async def test_a_polled_record_that_cannot_be_read_says_so(provider: Provider, raw: str, says: str) -> None:
    """It is done with, says what is wrong with it, and the others are applied."""
    (draft_id,) = await provider.send()
    await provider.poll(raw, polled("opened", draft_id, 600))
    await provider.apply()

    (error,) = [error for error in await provider.errors() if error is not None]
    assert error.startswith(says)
    assert [one["type"] for one in await provider.events(draft_id)] == ["opened"]


async def test_of_several_records_the_good_ones_count(provider: Provider) -> None:
    """Of the records of a push those that nest too deeply take none of the others with them."""
    (draft_id,) = await provider.send()
    body = json.loads(pushed("open", draft_id, 600))
    # NaN is cleaned before it is stored, which other data is not.
    for second, (depth, inner) in enumerate([(48, ""), (49, ""), (49, "NaN"), (50, ""), (50, "NaN"), (253, "")]):
        deep = json.loads("[" * depth + inner + "]" * depth)
        body["data"].append({**body["data"][0], "timestamp": f"2026-03-02T10:00:0{second}Z", "x": deep})
    await provider.push(json.dumps(body).encode())
    await provider.apply()

    assert await provider.errors() == ["Events that nest deeper than 50 levels are not stored: 3 of 7."]
    assert len(await provider.events(draft_id)) == 4


async def test_a_push_that_nests_too_deeply_says_so(provider: Provider) -> None:
    """A body beyond the limit of all bodies is done with and says which limit that is."""
    body = json.loads(pushed("open", UUID(int=1), 600))
    body["data"][0]["x"] = json.loads("[" * 254 + "]" * 254)
    await provider.push(json.dumps(body).encode())
    await provider.apply()
    assert await provider.errors() == ["The webhook body nests deeper than 256 levels."]


MULTIPART = b'--x\r\nContent-Disposition: form-data; name="event"\r\n\r\n%s\r\n--x--\r\n'


@pytest.mark.parametrize("how", ["plain", "form", "latin-1", "wrong", "utf-16", "gzip", "multipart", "bom"])
async def test_bodies_of_any_kind(provider: Provider, how: str) -> None:
    """Forms, other encodings, zipped and multipart bodies are read, and what says it is UTF-8 and is not as well."""
    (draft_id,) = await provider.send()
    plain = pushed("open", draft_id, 600, note="Zoë").replace(b"Zo\\u00eb", "Zoë".encode())
    latin = plain.decode().encode("latin-1")
    content_type, body = {
        "plain": ("application/json", plain),
        "form": ("application/x-www-form-urlencoded", urlencode({"event": plain}).encode()),
        "latin-1": ("application/json; charset=ISO-8859-1", latin),
        "wrong": ("application/json; charset=utf-8", latin),
        "utf-16": ("application/json", plain.decode().encode("utf-16")),
        "gzip": ("application/json", gzip.compress(plain)),
        "multipart": ('multipart/form-data; boundary="x"', MULTIPART % plain),
        "bom": ("", b"\xef\xbb\xbf" + plain),
    }[how]
    await provider.push(body, content_type=content_type)
    await provider.apply()

    assert await provider.errors() == [None]
    assert [one["data"] for one in await provider.events(draft_id)] == [{"note": "Zoë"}]


CUT_OFF = "The gzipped webhook body is truncated, or larger than 52428800 bytes."


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "The webhook body is empty."),
        (b"{}", "The webhook body is neither a JSON object nor a form with an event."),
        (gzip.compress(b"x" * 99, mtime=0)[:-9], CUT_OFF),
        (gzip.compress(bytes(60_000_000), mtime=0), CUT_OFF),
        (b"\x1f\x8b broken", "The gzipped webhook body is corrupt."),
    ],
)
async def test_bodies_that_say_nothing(provider: Provider, body: bytes, says: str) -> None:
    """A body without an event, or one that would fill the memory, is kept with the reason."""
    await provider.push(body)
    await provider.apply()
    assert await provider.errors() == [says]


async def test_strangers_and_unknown_types_stay_in_the_record(provider: Provider) -> None:
    """Provider events about unknown mails and of unknown types are marked as applied and create no events."""
    (draft_id,) = await provider.send()
    long = "t" * 5000
    await provider.push(
        pushed("open", UUID(int=7), 1), pushed("open", None, 1, transaction_id=long), pushed("exploded", draft_id, 1)
    )
    await provider.poll(polled("exploded", draft_id, 1))
    await provider.apply()

    assert await provider.errors() == [None] * 4
    assert await provider.events(draft_id) == []


async def test_an_event_without_a_time_happened_when_it_was_polled(provider: Provider) -> None:
    """A polled record that has no time gets the business time of its poll, not the database's own time."""
    (draft_id,) = await provider.send()
    undated = {**polled("delivered", draft_id, 0), "event_date": None}

    await provider.poll(undated, at=SENT_AT + timedelta(seconds=90))
    await provider.apply()

    assert [(one["type"], one["second"]) for one in await provider.events(draft_id)] == [("delivered", 90)]


async def test_much_is_applied_in_parts(provider: Provider) -> None:
    """More than one transaction takes is left for the next, oldest first, and a body of any size gets its turn."""
    (draft_id,) = await provider.send()
    bodies = [pushed("open", draft_id, 600 + n, fat="x" * (service.MAX_BYTES // 2 + 1)) for n in range(3)]
    huge = pushed("open", draft_id, 700, fat="x" * (service.MAX_BYTES + 1))
    await provider.push(huge, *bodies)
    seen = []
    for _ in range(3):
        await provider.apply()
        seen.append([second for _, second, _ in await provider.rules(draft_id)])

    assert seen == [[700], [600, 601, 700], [600, 601, 602, 700]]
    async with transaction(provider.services.pool, Scope(workspace_id=provider.workspace_id)) as session:
        assert not await service.lock_provider_rows(session, provider.workspace_id)

import asyncio
import json
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.live.patches import MAX_BODY_BYTES, Change, patch_between
from tests.api.live.rfc6902 import patched
from tests.api.live.test_live import STREAM, Event, Live, add_job, live, owner
from tests.business_clock import BUSINESS_NOW

__all__ = ["live", "owner"]

BY_PATCH = "delta=json-patch"

KEYS = st.text(max_size=3) | st.sampled_from(["/", "~", "~1", "a/b~0", "", "0", "-", "ключ", "🔑"])
SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0, 0.5, 1e300]) | st.text(max_size=5)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25
)
ROWS = st.lists(
    st.fixed_dictionaries({"id": st.integers(0, 9), "name": SCALARS, "fields": st.lists(SCALARS, max_size=3)}),
    max_size=8,
    unique_by=lambda row: str(row["id"]),
)

ONE_MORE = (
    "INSERT INTO app.scheduled_jobs (workspace_id, job_type, scheduled_for, run_at)"
    f" SELECT workspace_id, '{{}}', {BUSINESS_NOW}, {BUSINESS_NOW} FROM app.scheduled_jobs LIMIT 1"
)
CHANGES = (
    "UPDATE app.scheduled_jobs SET attempts = 1 WHERE id = (SELECT max(id::text)::uuid FROM app.scheduled_jobs)",
    ONE_MORE.format("a/b~c"),
    "UPDATE app.scheduled_jobs SET last_error = 'Ошибка / ~1 \"\\'",
    ONE_MORE.format("one more"),
    "DELETE FROM app.scheduled_jobs WHERE job_type = 'by_hand'",
)
"""One field of one row, a new first row, each row, a row that pushes another off the page, and most rows gone."""


def body_of(document: Any) -> bytes:
    """Return a document as the service serializes it."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def as_json(document: Any) -> str:
    """Return a form that distinguishes documents that are equal in Python: 1, 1.0 and true."""
    return json.dumps(document, sort_keys=True)


def check(before: Any, after: Any) -> bytes:
    """Compute the patch from one document to the other, and check that it is right and shorter."""
    patch = patch_between(body_of(before), body_of(after))
    if patch:
        assert as_json(patched(before, json.loads(patch))) == as_json(after)
    assert len(patch) < len(body_of(after))
    return patch


@given(DOCUMENTS, DOCUMENTS)
def test_a_patch_converts_any_document_to_any_other(before: Any, after: Any) -> None:
    """Nested documents with any letters, and keys with `/` and `~`: the patch is right by RFC 6902 and never longer."""
    # Beside what stays the same, so that a patch is worth it.
    check({"stays": "x" * 2000, "is": before}, {"stays": "x" * 2000, "is": after})
    check(before, after)


@given(ROWS, ROWS, st.randoms(use_true_random=False))
def test_a_patch_follows_rows_that_shift(before: list[Any], others: list[Any], chance: Any) -> None:
    """Rows that are added, removed and reordered among others."""
    after = [row for row in before if chance.random() < 0.8]
    for row in others:
        after.insert(chance.randint(0, len(after)), row)
    check({"items": before, "nextCursor": None}, {"items": after, "nextCursor": "x"})


def test_a_new_first_row_is_a_short_patch() -> None:
    """In a list with the newest row first only the new row is sent, although every other row has a new position."""
    rows = [{"id": number, "name": f"name {number}", "email": f"a{number}@lead.example"} for number in range(500)]
    new = {"id": 500, "name": "new", "email": "new@lead.example"}
    patch = check({"items": rows}, {"items": [new, *rows[:-1]]})
    assert len(patch) < 3 * len(body_of(new))


def test_a_document_too_large_or_too_deep_is_sent_whole() -> None:
    """A comparison that would cost more than it saves is not made, and no stream fails."""
    long = [0, "x" * MAX_BODY_BYTES]
    assert patch_between(body_of(long), body_of([1, *long[1:]])) == b""
    for depth in (65, 5_000):
        before, after = (b"[" * depth + inner + b"]" * depth for inner in (b'"x",1', b'"x"'))
        assert patch_between(before, after + b" " * 100) == b""
    before, after = (b"[" * 64 + inner + b"]" * 64 for inner in (b'"x",1', b'"x"'))
    assert patch_between(before, after + b" " * 100) != b""


@pytest.mark.anyio
async def test_a_patch_is_computed_once_for_all_readers() -> None:
    """A reader with another result gets no patch; a reader that leaves does not cancel it for the others."""
    before, after = body_of({"stays": "x" * 100, "is": 1}), body_of({"stays": "x" * 100, "is": 2})
    change = Change('"before"', before, after)
    assert await change.patch_from('"older"') is None
    gone = asyncio.create_task(change.patch_from('"before"'))
    await asyncio.sleep(0)
    gone.cancel()
    one, two = await asyncio.gather(change.patch_from('"before"'), change.patch_from('"before"'))
    assert one is two
    assert one == b'[{"op":"replace","path":"/is","value":2}]'


@pytest.mark.anyio
async def test_a_patched_document_is_the_plain_result(
    live: Live, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """After each of many changes the patched document is the plain result, and the event's id its tag."""
    url = f"/api/workspaces/{workspace}/jobs"
    for _ in range(5):
        await add_job(owner, workspace)
    async with live.stream(f"{url}?limit=6&{BY_PATCH}") as stream:
        first = await stream.next()
        assert first.event is None
        document = first.result
        for change in CHANGES:
            await owner.execute(change)
            event = await stream.next()
            document = document_after(document, event)
            plain = await live.http.get(f"{url}?limit=6")
            assert (document, event.id) == (plain.json(), plain.headers["ETag"])
            assert event.event == "patch" or event.data.encode() == plain.content


def document_after(document: Any, event: Event) -> Any:
    """Return the document of a client after an event."""
    return patched(document, event.result) if event.event == "patch" else event.result


@pytest.mark.anyio
async def test_a_short_change_is_a_patch_and_a_long_one_is_not(
    live: Live, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """The first row of an empty list is sent as a whole result, because its patch is longer; a field as a patch."""
    async with live.stream(f"/api/workspaces/{workspace}/jobs?{BY_PATCH}") as stream:
        assert (await stream.next()).result["items"] == []
        await add_job(owner, workspace)
        whole = await stream.next()
        assert (whole.event, len(whole.result["items"])) == (None, 1)
        await owner.execute("UPDATE app.scheduled_jobs SET job_type = 'another'")
        patch = await stream.next()
        assert (patch.event, patch.result) == (
            "patch",
            [{"op": "replace", "path": "/items/0/jobType", "value": "another"}],
        )


@pytest.mark.anyio
async def test_a_reconnected_client_gets_the_next_patch(
    live: Live, workspace: str, owner: psycopg.AsyncConnection
) -> None:
    """A client with the current result gets the next patch; a client with an older one gets the whole result."""
    url = f"/api/workspaces/{workspace}/jobs?{BY_PATCH}"
    await add_job(owner, workspace)
    async with live.stream(url) as stream:
        old = await stream.next()
        await owner.execute("UPDATE app.scheduled_jobs SET job_type = 'second'")
        known = await stream.next()
        known_result = document_after(old.result, known)
        assert old.id is not None
        assert known.id is not None
    async with live.stream(url, Last_Event_ID=known.id) as stream:
        await owner.execute("UPDATE app.scheduled_jobs SET job_type = 'third'")
        # Had the stream begun with a result, this would be it.
        assert document_after(known_result, await stream.next())["items"][0]["jobType"] == "third"
    async with live.stream(url, Last_Event_ID=old.id) as stream:
        whole = await stream.next()
        assert (whole.event, whole.result["items"][0]["jobType"]) == (None, "third")


@pytest.mark.anyio
async def test_another_kind_of_delta_is_rejected(live: Live, workspace: str) -> None:
    """An unknown value of `delta` returns an error before a stream begins."""
    for parameters in ("delta=merge-patch", "delta=", f"{BY_PATCH}&{BY_PATCH}"):
        refused = await live.http.get(f"/api/workspaces/{workspace}?{parameters}", headers=STREAM)
        assert refused.status_code == 422
        assert "json-patch" in refused.json()["detail"]

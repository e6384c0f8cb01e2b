from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.errors import Malformed
from api.http.pagination import Cursors

PLACE = "/api/workspaces/w/leads -createdAt"


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), max_size=3))
def test_a_cursor_gives_back_what_it_was_made_of(values: list[str]) -> None:
    """Whatever a list is sorted by survives being a cursor."""
    cursors = Cursors("a key")
    assert cursors.read(PLACE, cursors.write(PLACE, values)) == values


@given(st.text(max_size=60))
def test_any_other_text_is_refused(text: str) -> None:
    """No text is taken for a cursor, and none makes the reader fail in another way."""
    with pytest.raises(Malformed):
        Cursors("a key").read(PLACE, text)


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_changed_byte_is_seen(position: int, flip: int) -> None:
    """A cursor with any one character changed is refused."""
    cursors = Cursors("a key")
    whole = cursors.write(PLACE, ["Mokoena", "0198c5a0-0000-7000-8000-000000000000"])
    place = position % len(whole)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = alphabet[(alphabet.index(whole[place]) + flip % 63 + 1) % 64]
    changed = whole[:place] + other + whole[place + 1 :]
    # The last character of base64 may hold bits that belong to no byte.
    if changed != whole and place < len(whole) - 1:
        with pytest.raises(Malformed):
            cursors.read(PLACE, changed)


def test_a_cursor_is_good_for_its_list_and_keys_alone() -> None:
    """A cursor of another list, another order or another key is refused; a rotated key goes on reading."""
    cursor = Cursors("old").write(PLACE, ["x"])
    assert Cursors("new,old").read(PLACE, cursor) == ["x"]
    for keys, place in (("new", PLACE), ("old", "/api/workspaces/w/leads email"), ("old", "/api/workspaces/v/leads")):
        with pytest.raises(Malformed):
            Cursors(keys).read(place, cursor)


@pytest.mark.anyio
async def test_pages_stay_stable_while_rows_are_inserted(app_client: httpx.AsyncClient, workspace: str) -> None:
    """Walking the pages shows each lead once, in spite of leads added meanwhile."""
    leads = f"/api/workspaces/{workspace}/leads"
    for number in range(5):
        await app_client.post(leads, json={"email": f"p{number}@lead.example"})
    seen: list[str] = []
    query = {"limit": "2"}
    while True:
        page = (await app_client.get(leads, params=query)).json()
        seen += [lead["email"] for lead in page["items"]]
        await app_client.post(leads, json={"email": f"late{len(seen)}@lead.example"})
        if page["nextCursor"] is None:
            break
        query["cursor"] = page["nextCursor"]

    assert [f"p{number}@lead.example" for number in (4, 3, 2, 1, 0)] == seen


@pytest.mark.anyio
@pytest.mark.parametrize("cursor", ["%%%", "x" * 4001, "AAAA", datetime(2026, 1, 1, tzinfo=UTC).isoformat()])
async def test_a_tampered_cursor_names_itself(app_client: httpx.AsyncClient, workspace: str, cursor: str) -> None:
    """A cursor that is none of ours is a 422 that points at the parameter."""
    response = await app_client.get(f"/api/workspaces/{workspace}/leads", params={"cursor": cursor})

    assert (response.status_code, response.json()["errors"][0]["location"]) == (422, ["query", "cursor"])

import contextlib
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import Malformed
from api.pagination import decode_cursor, encode_cursor


@given(st.uuids())
def test_a_cursor_is_the_id_it_was_made_of(last: UUID) -> None:
    """Every id survives being a cursor."""
    assert last == decode_cursor(encode_cursor(last))


@given(st.text(max_size=40))
def test_any_other_text_is_refused_or_an_id(text: str) -> None:
    """No text makes the decoder fail in another way than by saying that it is not a cursor."""
    with contextlib.suppress(Malformed):
        assert isinstance(decode_cursor(text), UUID)


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
async def test_a_tampered_cursor_names_itself(app_client: httpx.AsyncClient, workspace: str) -> None:
    """A cursor that is none of ours is a 422 that points at the parameter."""
    response = await app_client.get(f"/api/workspaces/{workspace}/leads", params={"cursor": "%%%"})

    assert (response.status_code, response.json()["errors"][0]["location"]) == (422, ["query", "cursor"])

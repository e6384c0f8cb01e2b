import asyncio
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio

STEP = {"subject": "Hello", "bodyTemplate": "Hello {{ first_name }}"}


async def _make(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> str:
    response = await client.post(path, json=body)
    assert response.status_code == 201, response.text
    return f"{path}/{response.json()['id']}"


async def edited(client: httpx.AsyncClient, workspace: str) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Return one of each thing that people edit: its address, a change, and another."""
    under = f"/api/workspaces/{workspace}"
    sequence = await _make(client, f"{under}/sequences", {"name": "Spring"})
    return [
        (under, {"name": "A"}, {"name": "B"}),
        (await _make(client, f"{under}/leads", {"email": "a@lead.example"}), {"company": "A"}, {"company": "B"}),
        (await _make(client, f"{under}/lead-lists", {"name": "Fair"}), {"name": "A"}, {"name": "B"}),
        (sequence, {"name": "A"}, {"name": "B"}),
        (await _make(client, f"{sequence}/steps", STEP), {"subject": "A"}, {"subject": "B"}),
        (
            await _make(client, "/api/users", {"email": "bob@acme.example", "name": "Bob", "role": "member"}),
            {"name": "A"},
            {"name": "B"},
        ),
    ]


async def test_a_change_is_made_to_what_was_seen(app_client: httpx.AsyncClient, workspace: str) -> None:
    """With the tag its GET gave, a thing can be changed once; the same tag again is 412, and nothing changes."""
    for path, first, second in await edited(app_client, workspace):
        seen = {"If-Match": (await app_client.get(path)).headers["ETag"]}
        changed = await app_client.patch(path, json=first, headers=seen)
        assert changed.status_code == 200, (path, changed.text)
        late = await app_client.patch(path, json=second, headers=seen)
        assert (late.status_code, late.json()["code"]) == (412, "precondition_failed"), path
        assert (await app_client.get(path)).content == changed.content, path
        onward = await app_client.patch(path, json=second, headers={"If-Match": changed.headers["ETag"]})
        assert onward.status_code == 200, (path, onward.text)
        assert (await app_client.patch(path, json=first, headers={"If-Match": "*"})).status_code == 200


@pytest.mark.parametrize("mark", ['W/"{}"', '"{}-gzip"', '"{}--gzip"', '"{};gzip"', 'W/"{}-br"', '"x", "{}-zstd"'])
async def test_marks_of_proxies_are_no_part_of_a_tag(app_client: httpx.AsyncClient, workspace: str, mark: str) -> None:
    """A tag that a compressing proxy has marked stands for the state that was read, and for no other."""
    path = await _make(app_client, f"/api/workspaces/{workspace}/lead-lists", {"name": "Fair"})
    marked = mark.format((await app_client.get(path)).headers["ETag"].strip('"'))
    assert (await app_client.get(path, headers={"If-None-Match": marked})).status_code == 304
    assert (await app_client.patch(path, json={"name": "A"}, headers={"If-Match": marked})).status_code == 200
    assert (await app_client.patch(path, json={"name": "B"}, headers={"If-Match": marked})).status_code == 412
    assert (await app_client.get(path, headers={"If-None-Match": marked})).status_code == 200


@pytest.mark.parametrize("mark", ['"{}-gzi"', '"{}gzip"', '"{}-gzip-gzip"', 'w/"{}"', "{}"])
async def test_other_tags_match_nothing(app_client: httpx.AsyncClient, workspace: str, mark: str) -> None:
    """What only looks like a mark of a proxy makes another tag."""
    path = await _make(app_client, f"/api/workspaces/{workspace}/lead-lists", {"name": "Fair"})
    marked = mark.format((await app_client.get(path)).headers["ETag"].strip('"'))
    assert (await app_client.patch(path, json={"name": "A"}, headers={"If-Match": marked})).status_code == 412


async def test_of_two_concurrent_changes_one_is_refused(app_client: httpx.AsyncClient, workspace: str) -> None:
    """Two changes on the same tag at the same moment: one is made, the other is 412."""
    for path, first, second in await edited(app_client, workspace):
        seen = {"If-Match": (await app_client.get(path)).headers["ETag"]}
        changes = (app_client.patch(path, json=body, headers=seen) for body in (first, second))
        answers = await asyncio.gather(*changes)
        assert sorted(answer.status_code for answer in answers) == [200, 412], path

from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio


@pytest.fixture
async def path(app_client: httpx.AsyncClient, workspace: str) -> str:
    """Make a sequence in draft and return its path."""
    sequences = f"/api/workspaces/{workspace}/sequences"
    made = await app_client.post(sequences, json={"name": "Spring"})
    return f"{sequences}/{made.json()['id']}"


async def test_steps_are_kept_in_order(app_client: httpx.AsyncClient, path: str) -> None:
    """Each step added comes after the last."""
    for subject in ("One", "Two"):
        await app_client.post(f"{path}/steps", json={"subject": subject, "bodyTemplate": "Hi", "delayDays": 2})

    steps = (await app_client.get(path)).json()["steps"]

    assert [(one["stepOrder"], one["subject"], one["delayDays"]) for one in steps] == [(1, "One", 2), (2, "Two", 2)]


async def test_an_empty_sequence_cannot_send(app_client: httpx.AsyncClient, path: str) -> None:
    """Activation says what is missing, and the sequence stays in draft."""
    response = await app_client.post(f"{path}/activate")

    assert (response.status_code, response.json()["code"]) == (409, "sequence_not_ready")
    assert response.json()["errors"] == [{"location": ["steps"], "message": "the sequence has no steps"}]
    assert (await app_client.get(path)).json()["status"] == "Draft"


@pytest.mark.parametrize(
    ("step", "field"),
    [
        ({"subject": "Hi {{ first_nam }}", "bodyTemplate": "Hi"}, "subject"),
        ({"subject": "Hi", "bodyTemplate": "Hi {% if %}"}, "bodyTemplate"),
    ],
)
async def test_a_template_that_cannot_be_rendered_is_refused(
    app_client: httpx.AsyncClient, path: str, step: dict[str, Any], field: str
) -> None:
    """An unknown variable or broken Liquid names the field, and no step is added."""
    response = await app_client.post(f"{path}/steps", json=step)

    assert response.status_code == 422
    assert {("body", field)} == {tuple(one["location"]) for one in response.json()["errors"]}
    assert (await app_client.get(path)).json()["steps"] == []


async def test_only_an_active_sequence_can_be_paused(app_client: httpx.AsyncClient, path: str) -> None:
    """Pausing needs something that sends; then it can be activated again."""
    await app_client.post(f"{path}/steps", json={"subject": "One", "bodyTemplate": "Hi"})

    statuses = [
        (await app_client.post(f"{path}/{act}")).status_code for act in ("pause", "activate", "pause", "activate")
    ]

    assert statuses == [409, 200, 200, 200]


async def test_a_second_activation_is_refused(app_client: httpx.AsyncClient, path: str) -> None:
    """An active sequence cannot be activated again; the problem says that it is already active."""
    await app_client.post(f"{path}/steps", json={"subject": "One", "bodyTemplate": "Hi"})

    first, second = [await app_client.post(f"{path}/activate") for _ in range(2)]

    assert (first.status_code, first.json()["status"]) == (200, "Active")
    assert (second.status_code, second.json()["code"]) == (409, "invalid_transition")
    assert second.json()["detail"] == "This sequence is already active."


async def test_a_change_is_made_to_what_was_seen(app_client: httpx.AsyncClient, path: str) -> None:
    """The ETag is that of the detail, steps included: who has not seen a new step does not rename over it."""
    seen = {"If-Match": (await app_client.get(path)).headers["ETag"]}
    await app_client.post(f"{path}/steps", json={"subject": "One", "bodyTemplate": "Hi"})

    stale = await app_client.patch(path, json={"name": "Autumn"}, headers=seen)
    deleted = await app_client.delete(path, headers=seen)
    seen = {"If-Match": (await app_client.get(path)).headers["ETag"]}
    changed = await app_client.patch(path, json={"name": "Autumn", "autoApprove": True}, headers=seen)

    assert [stale.status_code, deleted.status_code, changed.status_code] == [412, 412, 200]
    assert (await app_client.get(path)).headers["ETag"] == changed.headers["ETag"]
    assert (changed.json()["name"], changed.json()["autoApprove"]) == ("Autumn", True)


@pytest.mark.parametrize("change", [{"autoApprove": "true"}, {"autoApprove": 1}, {"name": " "}, {"name": None}])
async def test_a_change_is_of_the_right_kind(
    app_client: httpx.AsyncClient, path: str, change: dict[str, object]
) -> None:
    """What is no truth value or no name is refused, and nothing is changed."""
    before = (await app_client.get(path)).json()

    response = await app_client.patch(path, json=change)

    assert (response.status_code, response.json()["code"]) == (422, "malformed")
    assert (await app_client.get(path)).json() == before


async def test_a_deleted_sequence_is_gone(app_client: httpx.AsyncClient, path: str) -> None:
    """It is not found, not listed and not activated any more."""
    assert (await app_client.delete(path)).status_code == 204

    answers = [await app_client.get(path), await app_client.post(f"{path}/activate"), await app_client.delete(path)]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert (await app_client.get(path.rpartition("/")[0])).json()["items"] == []

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

from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio

UNKNOWN = "0190a2b0-0000-7000-8000-000000000000"


@pytest.fixture
async def path(app_client: httpx.AsyncClient, workspace: str) -> str:
    """Make a sequence of three steps and return its path."""
    sequences = f"/api/workspaces/{workspace}/sequences"
    made = f"{sequences}/{(await app_client.post(sequences, json={'name': 'Spring'})).json()['id']}"
    for subject in ("One", "Two", "Three"):
        await app_client.post(f"{made}/steps", json={"subject": subject, "bodyTemplate": "Hi {{ first_name }}"})
    return made


async def steps_of(client: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    """Return a sequence's steps as its detail shows them."""
    steps: list[dict[str, Any]] = (await client.get(path)).json()["steps"]
    return steps


async def test_a_step_is_changed_as_it_was_seen(app_client: httpx.AsyncClient, path: str) -> None:
    """If-Match takes the ETag of the step's own GET; a second change to what is no longer so is refused."""
    url = f"{path}/steps/{(await steps_of(app_client, path))[1]['id']}"
    seen = {"If-Match": (await app_client.get(url)).headers["ETag"]}

    first = await app_client.patch(url, json={"delayDays": 3}, headers=seen)
    second = await app_client.patch(url, json={"subject": "Other"}, headers=seen)
    gone = await app_client.delete(url, headers=seen)

    assert [first.status_code, second.status_code, gone.status_code] == [200, 412, 412]
    step = (await app_client.get(url)).json()
    assert (step["subject"], step["delayDays"], step["stepOrder"]) == ("Two", 3, 2)


async def test_steps_are_put_in_a_new_order(app_client: httpx.AsyncClient, path: str) -> None:
    """All of them, by id; the answer and the detail show the new order."""
    one, two, three = [step["id"] for step in await steps_of(app_client, path)]

    answer = await app_client.put(f"{path}/steps/order", json={"stepIds": [three, one, two]})

    assert [step["id"] for step in answer.json()["steps"]] == [three, one, two]
    assert [(step["stepOrder"], step["subject"]) for step in await steps_of(app_client, path)] == [
        (1, "Three"),
        (2, "One"),
        (3, "Two"),
    ]


@pytest.mark.parametrize("chosen", [[0, 1], [0, 1, 1], [0, 1, 2, 2], [0, 1, None], []])
async def test_an_order_names_every_step_once(
    app_client: httpx.AsyncClient, path: str, chosen: list[int | None]
) -> None:
    """Left out, named twice or not of the sequence: the field is named and the order stays."""
    before = await steps_of(app_client, path)
    step_ids = [UNKNOWN if index is None else before[index]["id"] for index in chosen]

    response = await app_client.put(f"{path}/steps/order", json={"stepIds": step_ids})

    assert (response.status_code, response.json()["code"]) == (422, "malformed")
    assert response.json()["errors"][0]["location"] == ["body", "stepIds"]
    assert await steps_of(app_client, path) == before


async def test_a_step_is_deleted_and_those_after_it_move_up(app_client: httpx.AsyncClient, path: str) -> None:
    """The order has no gap, and the step is not found any more."""
    one, two, three = [step["id"] for step in await steps_of(app_client, path)]

    deleted = await app_client.delete(f"{path}/steps/{two}")

    assert deleted.status_code == 204
    assert [(step["stepOrder"], step["id"]) for step in await steps_of(app_client, path)] == [(1, one), (2, three)]
    assert (await app_client.get(f"{path}/steps/{two}")).status_code == 404


async def test_a_step_belongs_to_its_sequence(app_client: httpx.AsyncClient, workspace: str, path: str) -> None:
    """By way of another sequence a step is not found, and not changed."""
    sequences = f"/api/workspaces/{workspace}/sequences"
    other = (await app_client.post(sequences, json={"name": "Other"})).json()["id"]
    before = await steps_of(app_client, path)
    url = f"{sequences}/{other}/steps/{before[0]['id']}"

    answers = [
        await app_client.get(url),
        await app_client.patch(url, json={"subject": "Mine"}),
        await app_client.delete(url),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert await steps_of(app_client, path) == before


@pytest.mark.parametrize(
    ("change", "location"),
    [({"subject": " "}, ["steps", 1, "subject"]), ({"bodyTemplate": ""}, ["steps", 1, "bodyTemplate"])],
)
async def test_an_active_sequence_stays_fit_to_send(
    app_client: httpx.AsyncClient, path: str, change: dict[str, str], location: list[str | int]
) -> None:
    """What would keep it from being activated is refused with the same reasons, and allowed once it is paused."""
    url = f"{path}/steps/{(await steps_of(app_client, path))[0]['id']}"
    await app_client.post(f"{path}/activate")

    refused = await app_client.patch(url, json=change)
    unchanged = (await app_client.get(url)).json()
    await app_client.post(f"{path}/pause")
    allowed = await app_client.patch(url, json=change)
    activated = await app_client.post(f"{path}/activate")

    assert (refused.status_code, refused.json()["code"]) == (409, "sequence_not_ready")
    assert refused.json()["errors"] == activated.json()["errors"] == [{"location": location, "message": "is empty"}]
    assert (unchanged["subject"], unchanged["bodyTemplate"]) == ("One", "Hi {{ first_name }}")
    assert [allowed.status_code, activated.status_code] == [200, 409]


async def test_an_active_sequence_keeps_its_last_step(app_client: httpx.AsyncClient, path: str) -> None:
    """Steps that nothing was drafted from can go while it sends, all but the last."""
    await app_client.post(f"{path}/activate")
    steps = [step["id"] for step in await steps_of(app_client, path)]

    answers = [await app_client.delete(f"{path}/steps/{step}") for step in steps]

    assert [answer.status_code for answer in answers] == [204, 204, 409]
    assert answers[-1].json()["errors"] == [{"location": ["steps"], "message": "the sequence has no steps"}]
    assert len(await steps_of(app_client, path)) == 1


@pytest.mark.parametrize("template", ["Hi {{ first_nam }}", "Hi {% if %}", "{{ first_name | nonsense }}"])
async def test_a_template_is_read_before_it_is_taken(app_client: httpx.AsyncClient, path: str, template: str) -> None:
    """A change to a template that cannot be rendered is refused, with the field named."""
    url = f"{path}/steps/{(await steps_of(app_client, path))[0]['id']}"

    response = await app_client.patch(url, json={"bodyTemplate": template})

    assert response.status_code == 422
    assert response.json()["errors"][0]["location"] == ["body", "bodyTemplate"]


@pytest.mark.parametrize(
    "fields", [{"delayDays": "5"}, {"delayHours": True}, {"delayDays": -1}, {"delayHours": None}, {"stepOrder": 1}]
)
async def test_numbers_are_numbers(app_client: httpx.AsyncClient, path: str, fields: dict[str, Any]) -> None:
    """A text or a truth value is no number of days, neither in a new step nor in a change."""
    before = await steps_of(app_client, path)
    url = f"{path}/steps/{before[0]['id']}"
    new = {"subject": "Four", "bodyTemplate": "Hi", **fields}

    answers = [await app_client.post(f"{path}/steps", json=new), await app_client.patch(url, json=fields)]

    assert [answer.status_code for answer in answers] == [422, 422]
    assert await steps_of(app_client, path) == before


async def test_a_preview_shows_what_a_lead_would_get(app_client: httpx.AsyncClient, workspace: str, path: str) -> None:
    """Values are filled in, escaped where the template is HTML; a default stands in and is not missed."""
    lead = {"email": "ada@lead.example", "firstName": "Ada & Co", "customFields": {"City": "Paarl"}}
    lead_id = (await app_client.post(f"/api/workspaces/{workspace}/leads", json=lead)).json()["id"]
    step = {
        "subject": "For {{ first_name }}",
        "bodyTemplate": "<p>{{ first_name }} of {{ custom.city }}, {{ role | default: 'friend' }}</p>",
    }
    step_id = (await app_client.post(f"{path}/steps", json=step)).json()["id"]

    preview = await app_client.get(f"{path}/steps/{step_id}/preview", params={"leadId": lead_id})

    assert preview.json() == {
        "subject": "For Ada & Co",
        "text": "Ada & Co of Paarl, friend",
        "html": "<p>Ada &amp; Co of Paarl, friend</p>",
        "missing": [],
        "warnings": ["The lead has no role. Check that the mail reads well without it."],
        "tracking": {"opens": True, "clicks": True, "country": None},
    }


async def test_a_preview_says_what_is_missing(app_client: httpx.AsyncClient, workspace: str, path: str) -> None:
    """A value that the lead lacks does not fail the preview; it is named, and shown in brackets."""
    lead_id = (await app_client.post(f"/api/workspaces/{workspace}/leads", json={"email": "x@lead.example"})).json()[
        "id"
    ]
    step = {"subject": "{{ company | upcase }}", "bodyTemplate": "Hi {{ first_name }}, {{ custom['Deal Stage'] }}?"}
    step_id = (await app_client.post(f"{path}/steps", json=step)).json()["id"]

    preview = (await app_client.get(f"{path}/steps/{step_id}/preview", params={"leadId": lead_id})).json()
    missing_lead = await app_client.get(f"{path}/steps/{step_id}/preview", params={"leadId": UNKNOWN})

    assert preview["missing"] == ["company", "first_name", "custom.deal_stage"]
    assert preview["text"] == "Hi [first_name], [custom.deal_stage]?"
    assert missing_lead.status_code == 404

import asyncio
from typing import Any

import httpx
import pytest

from tests.api.running import RunJobs
from tests.sandbox import Sandbox

pytestmark = pytest.mark.anyio

CONNECTION = {
    "transactionalUrl": "https://api.everlytic.example/transactional/email/v1",
    "tenantUrl": "https://t.everlytic.example/api/2.0",
    "username": "u",
    "apiKey": "a very secret key",
}


async def test_a_connection_keeps_its_secrets(app_client: httpx.AsyncClient, workspace: str) -> None:
    """The key is never shown again, and the webhook addresses appear once, when the connection is made."""
    path = f"/api/workspaces/{workspace}/everlytic-connection"
    made = await app_client.put(path, json=CONNECTION)
    shown = await app_client.get(path)

    assert {"webhookUrl", "inboundUrl"} <= set(made.json())
    assert not {"webhookUrl", "inboundUrl", "apiKey"} & set(shown.json())
    assert "a very secret key" not in made.text + shown.text


async def test_a_connection_is_changed_by_who_has_seen_it(app_client: httpx.AsyncClient, workspace: str) -> None:
    """Neither a new connection nor a disconnection replaces what another user has set since."""
    path = f"/api/workspaces/{workspace}/everlytic-connection"
    await app_client.put(path, json=CONNECTION)
    seen = {"If-Match": (await app_client.get(path)).headers["ETag"]}
    changed = await app_client.put(path, json={**CONNECTION, "username": "v"}, headers=seen)
    late = [await app_client.put(path, json=CONNECTION, headers=seen), await app_client.delete(path, headers=seen)]

    assert changed.status_code == 200
    assert [answer.status_code for answer in late] == [412, 412]
    assert (await app_client.get(path)).json()["username"] == "v"
    assert (await app_client.delete(path)).status_code == 204
    assert (await app_client.get(path)).json()["disabledAt"] is not None


async def test_connections_made_at_once_leave_one(app_client: httpx.AsyncClient, workspace: str) -> None:
    """Several who connect a workspace for the first time at the same moment are all answered; the last one stands."""
    path = f"/api/workspaces/{workspace}/everlytic-connection"
    bodies = [{**CONNECTION, "username": f"u{number}"} for number in range(4)]
    answers = await asyncio.gather(*(app_client.put(path, json=body) for body in bodies))

    assert {answer.status_code for answer in answers} == {200}
    assert (await app_client.get(path)).json()["username"] in {body["username"] for body in bodies}


async def test_a_disconnected_workspace_registers_no_webhook(
    app_client: httpx.AsyncClient, workspace: str, sandbox: Sandbox, run_jobs: RunJobs
) -> None:
    """A registration that is still on the queue when the workspace is disconnected asks Everlytic for nothing."""
    path, username = f"/api/workspaces/{workspace}/everlytic-connection", sandbox.new_username()
    body = {
        "transactionalUrl": f"{sandbox.url}/transactional/email/v1",
        "tenantUrl": f"{sandbox.url}/api/2.0",
        "username": username,
        "apiKey": f"sandbox-key-{username}",
    }
    await app_client.put(path, json=body)
    await app_client.delete(path)
    await run_jobs()

    assert (await app_client.get(path)).json()["webhookId"] is None
    assert username not in sandbox.ask("state")["tenants"]
    (job,) = (await app_client.get(f"/api/workspaces/{workspace}/jobs?type=register_webhook")).json()["items"]
    assert job["status"] == "completed"


async def test_settings_are_changed_by_who_has_seen_them(app_client: httpx.AsyncClient, workspace: str) -> None:
    """What is left out stays, what may be cleared is cleared, and an old tag is refused."""
    path = f"/api/workspaces/{workspace}"
    before = await app_client.get(path)
    headers = {"If-Match": before.headers["ETag"]}
    body = {"windowStart": "09:30", "sendingWeekdays": [1], "holidaysCountry": "DE", "dailyCap": 5}
    body |= {"midMarketFrom": 50, "enterpriseFrom": 500, "defaultSegment": "SMB", "voice": "Dry, and kind."}
    body |= {"replyToEmail": "replies@acme.example", "dailyTokenBudget": 100_000}
    body |= {"guardSample": 50, "maxBounceRate": 0.1, "complaintSample": 500, "maxComplaintRate": 0.002}
    body |= {"maxDailyComplaints": 1}
    changed = await app_client.patch(path, json=body, headers=headers)
    late = await app_client.patch(path, json={"name": "Late"}, headers=headers)

    assert changed.status_code == 200
    expected = {**before.json(), **body, "windowStart": "09:30:00", "updatedAt": changed.json()["updatedAt"]}
    assert changed.json() == expected
    assert late.status_code == 412
    nothing = {"holidaysCountry": None, "dailyCap": None, "replyToEmail": None, "dailyTokenBudget": None}
    nothing |= {"maxBounceRate": None, "maxComplaintRate": None, "maxDailyComplaints": None}
    cleared = await app_client.patch(path, json=nothing)
    assert {name: cleared.json()[name] for name in nothing} == nothing
    assert (await app_client.get(path)).json() == cleared.json()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"timezone": "Africa/Nowhere"}, "timezone"),
        ({"windowStart": "18:00:00", "windowEnd": "09:00:00"}, "windowStart"),
        ({"name": None}, "name"),
        ({"defaultFromEmail": "no address"}, "defaultFromEmail"),
        ({"sendingWeekdays": []}, "sendingWeekdays"),
        ({"dailyCap": 0}, "dailyCap"),
        ({"colour": "red"}, "colour"),
        ({"windowStart": 5}, "windowStart"),
        ({"windowStart": "08:00:00+02:00"}, "windowStart"),
        ({"windowEnd": "24:00"}, "windowEnd"),
        ({"sendingWeekdays": [1, 1]}, "sendingWeekdays"),
        ({"sendingWeekdays": ["1"]}, "sendingWeekdays"),
        ({"sendingWeekdays": [True]}, "sendingWeekdays"),
        ({"sendingWeekdays": [7]}, "sendingWeekdays"),
        ({"midMarketFrom": 1000}, "midMarketFrom"),
        ({"enterpriseFrom": 100}, "midMarketFrom"),
        ({"enterpriseFrom": None}, "enterpriseFrom: must not"),
        ({"defaultSegment": "Huge"}, "defaultSegment"),
        ({"dailyCap": "5"}, "dailyCap"),
        ({"dailyCap": 5.0}, "dailyCap"),
        ({"dailyCap": True}, "dailyCap"),
        ({"voice": None}, "voice"),
        ({"voice": "x" * 2_001}, "voice"),
        ({"replyToEmail": "no address"}, "replyToEmail"),
        ({"dailyTokenBudget": -1}, "dailyTokenBudget"),
        ({"dailyTokenBudget": True}, "dailyTokenBudget"),
        ({"complaintSample": 9}, "complaintSample"),
        ({"complaintSample": None}, "complaintSample: must not"),
        ({"maxComplaintRate": 1.1}, "maxComplaintRate"),
        ({"maxDailyComplaints": 0}, "maxDailyComplaints"),
        ({"maxDailyComplaints": 1.5}, "maxDailyComplaints"),
        ({"holidaysCountry": "XX"}, "holidaysCountry"),
        ({"holidaysCountry": "za"}, "holidaysCountry"),
        ({"holidaysCountry": "ZAF"}, "holidaysCountry"),
    ],
)
async def test_bad_settings_are_named(
    app_client: httpx.AsyncClient, workspace: str, change: dict[str, Any], field: str
) -> None:
    """A setting that makes no sense is a 422 that names it, and nothing changes."""
    before = (await app_client.get(f"/api/workspaces/{workspace}")).json()

    response = await app_client.patch(f"/api/workspaces/{workspace}", json=change)

    assert (response.status_code, response.json()["code"]) == (422, "malformed")
    assert field in response.text
    assert before == (await app_client.get(f"/api/workspaces/{workspace}")).json()

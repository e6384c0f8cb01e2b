"""What is measured of a mail: asked of the provider, stored with the attempt, and said beforehand."""

from typing import Any

import psycopg
import pytest

from database.roles import connect, owner_url
from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio

ATTEMPT = "SELECT tracks_opens, tracks_clicks FROM app.send_attempts WHERE draft_id = %s"


@pytest.mark.parametrize(
    ("setting", "email", "opens", "clicks", "country"),
    [
        ("off", "a@lead.example", False, False, None),
        ("clicks", "a@lead.example", False, True, None),
        ("all", "a@lead.de", True, True, "DE"),
        ("automatic", "a@lead.de", False, True, "DE"),
        ("automatic", "a@lead.co.za", True, True, "ZA"),
        ("automatic", "a@lead.example", True, True, None),
    ],
)
async def test_a_mail_is_measured_as_the_workspace_says(
    outreach: Outreach, database_url: str, setting: str, email: str, *, opens: bool, clicks: bool, country: str | None
) -> None:
    """Preview and `explain` say what the provider is then asked for, and the attempt keeps it."""
    expected = {"opens": opens, "clicks": clicks, "country": country}
    await change(outreach, tracking=setting)
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    lead_id = await outreach.add_lead(email)
    (step,) = (await outreach.get(f"/sequences/{sequence_id}"))["steps"]
    preview = await outreach.get(f"/sequences/{sequence_id}/steps/{step['id']}/preview", leadId=lead_id)
    assert preview["tracking"] == expected
    await outreach.enroll(sequence_id, lead_id)
    assert await explain(outreach) == expected

    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    await outreach.run_jobs()

    (mail,) = outreach.mails()
    assert (mail["track_opens"], mail["track_links"]) == (opens, clicks)
    with connect(owner_url(database_url)) as connection:
        assert connection.execute(ATTEMPT.encode(), [mail["message_id"]]).fetchall() == [(opens, clicks)]
    assert await explain(outreach) is None


async def test_the_setting_of_the_send_counts(outreach: Outreach, database_url: str) -> None:
    """A change reaches mails that wait; what was sent before keeps what was measured of it."""
    assert (await outreach.client.get(outreach.path)).json()["tracking"] == "automatic"
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    leads = [await outreach.add_lead(f"{name}@lead.example") for name in "ab"]
    await outreach.enroll(sequence_id, *leads)
    first, second = (await outreach.get("/drafts"))["items"]
    await outreach.post(f"/drafts/{first['id']}/approve")
    await outreach.run_jobs()
    await change(outreach, tracking="off")
    await outreach.post(f"/drafts/{second['id']}/approve")
    await outreach.run_jobs()

    with connect(owner_url(database_url)) as connection:
        assert find_attempt(connection, first["id"]) == (True, True)
        assert find_attempt(connection, second["id"]) == (False, False)


async def test_an_unknown_setting_is_refused(outreach: Outreach) -> None:
    """Only the four settings are taken, and none of them is null."""
    for value in ("opens", True, None):
        assert (await outreach.client.patch(outreach.path, json={"tracking": value})).status_code == 422


async def change(outreach: Outreach, **settings: object) -> None:
    """Change the workspace."""
    response = await outreach.client.patch(outreach.path, json=settings)
    assert response.status_code == 200, response.text
    assert response.json().items() >= settings.items()


async def explain(outreach: Outreach) -> Any:
    """Return what would be measured of the next mail of the only enrollment."""
    (enrollment,) = (await outreach.get("/enrollments"))["items"]
    return (await outreach.get(f"/enrollments/{enrollment['id']}/explain"))["tracking"]


def find_attempt(connection: psycopg.Connection, draft_id: str) -> tuple[bool, bool] | None:
    """Return whether opens and clicks of a mail were measured."""
    return connection.execute(ATTEMPT.encode(), [draft_id]).fetchone()

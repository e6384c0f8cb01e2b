"""A workspace without a postal address or a public URL mails no person, and says so."""

import pytest

from api.http.resources import Services
from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio

REAL = {
    "transactionalUrl": "https://api.everlytic.example/transactional/email/v1",
    "tenantUrl": "https://acme.everlytic.example/api/2.0",
    "username": "acme",
    "apiKey": "a key",
}


async def connect(outreach: Outreach, body: dict[str, str]) -> list[str]:
    """Connect the workspace, and return what it lacks to mail people through the connection."""
    path = f"{outreach.path}/everlytic-connection"
    assert (await outreach.client.put(path, json=body)).is_success
    await outreach.run_jobs()
    holds: list[str] = (await outreach.get("/everlytic-connection"))["holds"]
    return holds


async def test_an_incomplete_sender_mails_no_person(outreach: Outreach, services: Services) -> None:
    """A mail waits while postal address or public URL are missing, unless the provider's host is local."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    await outreach.enroll(sequence_id, await outreach.add_lead("thandi@lead.example"))
    assert (await outreach.client.patch(outreach.path, json={"postalAddress": " "})).is_success
    public_url = services.settings.public_url
    address = "the workspace has no postal address; set postalAddress"
    url = f"the unsubscribe link would lead to {public_url}, which recipients cannot reach; set SALESMATTER_PUBLIC_URL"

    assert await connect(outreach, REAL) == [address, url]
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    await outreach.run_jobs()

    (enrolled,) = (await outreach.get("/enrollments"))["items"]
    assert (await outreach.get(f"/enrollments/{enrolled['id']}/explain"))["holds"] == [address, url]
    (job,) = (await outreach.get("/jobs", type="send_email"))["items"]
    assert (job["status"], job["lastError"]) == ("pending", f"{address}; {url}")
    assert outreach.mails() == []
    # The mail is checked again at once when something that was missing is set.
    assert (await outreach.client.patch(outreach.path, json={"postalAddress": "1 Long Street"})).is_success
    await outreach.run_jobs()
    assert (await outreach.get(f"/enrollments/{enrolled['id']}/explain"))["holds"] == [url]
    (job,) = (await outreach.get("/jobs", type="send_email"))["items"]
    assert (job["status"], job["lastError"]) == ("pending", url)


async def test_a_sandbox_needs_no_identity(outreach: Outreach) -> None:
    """With a provider on this machine a workspace without a postal address sends; each mail has a Feedback-ID."""
    assert (await outreach.client.patch(outreach.path, json={"postalAddress": ""})).is_success
    _, mail = await outreach.send_one()
    assert (await outreach.get("/everlytic-connection"))["holds"] == []
    (sequence,) = (await outreach.get("/sequences"))["items"]
    assert mail["custom_headers"]["Feedback-ID"] == [f"{sequence['id']}:{outreach.workspace_id}:outreach:salesmatter"]

"""An address that must not be mailed is not mailed, whichever way it is added again."""

from typing import Any

import pytest

from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio

ANN, EVE, BOB = "ann@lead.example", "eve@blocked.example", "bob@lead.example"
FILE = f"Email,First Name\n{ANN},Ann\n{EVE.upper()},Eve\n{BOB},Bob\n"


async def imported(outreach: Outreach, data: str, policy: str) -> dict[str, Any]:
    """Upload a file, commit it and return the import as it is then."""
    response = await outreach.client.post(
        f"{outreach.path}/imports", files={"file": ("again.csv", data)}, data={"duplicatePolicy": policy}
    )
    assert response.status_code == 202, response.text
    import_id = response.json()["id"]
    await outreach.post(f"/imports/{import_id}/commit")
    await outreach.run_jobs()
    return await outreach.get(f"/imports/{import_id}")


async def suppress(outreach: Outreach) -> None:
    """Suppress one of the file's addresses, and the domain of another."""
    await outreach.post("/suppressions", {"email": ANN})
    await outreach.post("/suppressions", {"domain": EVE.partition("@")[2]})


async def leads(outreach: Outreach) -> dict[str, str]:
    """Return the ids of the workspace's leads by address."""
    return {one["email"]: one["id"] for one in (await outreach.get("/leads"))["items"]}


async def enroll(outreach: Outreach, *lead_ids: str) -> dict[str, int]:
    """Enroll leads in a sequence that sends at once, let it, and return who was skipped, by reason."""
    sequence_id = await outreach.add_sequence("One")
    answer = await outreach.post("/enrollments", {"sequenceId": sequence_id, "leadIds": list(lead_ids)})
    await outreach.run_jobs()
    skipped: dict[str, int] = answer.json()["skipped"]
    return skipped


def mailed(outreach: Outreach) -> list[str]:
    """Return the addresses that the provider was given, one for each mail."""
    return sorted(mail["recipient"] for mail in outreach.mails())


@pytest.mark.parametrize("policy", ["skip", "fill", "overwrite"])
async def test_imported_again(outreach: Outreach, policy: str) -> None:
    """Whatever the policy, a file makes no lead of a suppressed address and changes none; neither is mailed."""
    await outreach.add_lead(ANN)
    await suppress(outreach)

    done = await imported(outreach, FILE, policy)

    assert (done["newCount"], done["suppressedCount"]) == (1, 2)
    known = await leads(outreach)
    assert set(known) == {ANN, BOB}
    assert (await outreach.get(f"/leads/{known[ANN]}"))["firstName"] == "Thandi"
    assert await enroll(outreach, *known.values()) == {"suppressed": 1}
    assert mailed(outreach) == [BOB]


async def test_deleted_and_made_again(outreach: Outreach) -> None:
    """A lead that is deleted and made anew, by hand or by a file, is suppressed as the old one was."""
    first = await outreach.add_lead(ANN)
    await suppress(outreach)
    assert (await outreach.client.delete(f"{outreach.path}/leads/{first}")).status_code == 204

    done = await imported(outreach, FILE, "overwrite")
    assert done["suppressedCount"] == 2
    again = [await outreach.add_lead(ANN.upper()), await outreach.add_lead(EVE)]

    assert first not in again
    assert await enroll(outreach, *again) == {"suppressed": 2}
    assert mailed(outreach) == []


@pytest.mark.parametrize("body", [{"email": ANN.upper()}, {"domain": "lead.example"}])
async def test_suppressed_after_approval(outreach: Outreach, body: dict[str, str]) -> None:
    """A draft that was approved before its address, or the domain, was suppressed never goes out."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    await outreach.enroll(sequence_id, await outreach.add_lead(ANN))
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})

    await outreach.post("/suppressions", body)
    await outreach.run_jobs()

    assert mailed(outreach) == []
    (draft,) = (await outreach.get("/drafts"))["items"]
    assert (draft["status"], draft["errorReason"]) == ("failed", "the address is suppressed")


async def test_imported_list_after_approval(outreach: Outreach) -> None:
    """A list of suppressed addresses that is imported after the approval withholds mail to them, and to no other."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    ids = [await outreach.add_lead(email) for email in (ANN, EVE, BOB)]
    await outreach.enroll(sequence_id, *ids)
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})

    file = {"file": ("no.csv", f"{ANN}\n@{EVE.partition('@')[2]}\n")}
    response = await outreach.client.post(f"{outreach.path}/suppressions/import", files=file)
    assert response.json()["added"] == 2
    await outreach.run_jobs()

    assert mailed(outreach) == [BOB]


async def test_unsubscribed_whatever_the_suppressions_say(outreach: Outreach) -> None:
    """A lead that said no is neither enrolled nor mailed even when its suppression was removed."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    lead_id = await outreach.add_lead(ANN)
    await outreach.enroll(sequence_id, lead_id)
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    await outreach.post(f"/leads/{lead_id}/unsubscribe")
    (stands,) = (await outreach.get("/suppressions"))["items"]
    removal = f"{outreach.path}/suppressions/{stands['id']}"
    assert (await outreach.client.delete(removal, params={"reason": "a test"})).status_code == 204

    await outreach.run_jobs()
    (lead,) = [await outreach.get(f"/leads/{lead_id}")]
    assert lead["status"] == "Unsubscribed"
    assert await enroll(outreach, lead_id) == {"unsubscribed": 1}
    done = await imported(outreach, FILE, "overwrite")
    assert done["suppressedCount"] == 0
    assert (await outreach.get(f"/leads/{lead_id}"))["status"] == "Unsubscribed"
    assert await enroll(outreach, lead_id) == {"unsubscribed": 1}
    assert mailed(outreach) == []

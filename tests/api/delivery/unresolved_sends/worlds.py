"""A send of unknown outcome, and time that passes for it."""

from typing import Any

import psycopg

from api.http.resources import Services
from database import jobs
from database.tenancy import Scope, transaction
from tests.api.sending_workspace import Outreach
from tests.business_clock import BUSINESS_NOW

SEEN, HIDDEN = {"v1_visible_in_legacy": True}, {"v1_visible_in_legacy": False}


def behave(outreach: Outreach, *faults: str, lists: bool = True, routes: tuple[str, ...] = ()) -> None:
    """Have the sandbox fail this way, and list what it took or not."""
    scenarios = [{"name": name, "probability": 1, **({"routes": routes} if routes else {})} for name in faults]
    outreach.sandbox.tell(
        "scenarios", username=outreach.username, scenarios=scenarios, switches=SEEN if lists else HIDDEN
    )


async def unknown_send(outreach: Outreach, *, taken: bool, email: str = "thandi@lead.example") -> str:
    """Have a call end without an answer, on which Everlytic is silent ever after; returns the draft."""
    behave(outreach, "reset_after_accept" if taken else "reset_before_accept", "accepted_no_events", lists=False)
    sequence_id = await outreach.add_sequence("One", "Two")
    await outreach.enroll(sequence_id, await outreach.add_lead(email))
    behave(outreach, lists=False)
    (draft,) = [
        one for one in (await outreach.get("/drafts", sequenceId=sequence_id))["items"] if one["stepOrder"] == 1
    ]
    draft_id: str = draft["id"]
    assert (await one_of(outreach, draft_id))["error"]
    return draft_id


async def one_of(outreach: Outreach, draft_id: str) -> dict[str, Any]:
    """Return a send of unknown outcome as it is shown."""
    return await outreach.get(f"/unknown-sends/{draft_id}")


async def claimed_ago(database_url: str, hours: float) -> None:
    """Set the claims of all attempts to so many hours ago."""
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        statement = f"UPDATE app.send_attempts SET claimed_at = {BUSINESS_NOW} - %s * interval '1 hour'"
        await owner.execute(statement.encode(), [hours])


async def look_now(outreach: Outreach, database_url: str) -> None:
    """Let the next look at Everlytic's transaction list be due."""
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        due = f"UPDATE app.scheduled_jobs SET run_at = {BUSINESS_NOW} WHERE job_type = 'reconcile_send'"
        await owner.execute(due.encode())
    await outreach.run_jobs()


async def sweep(outreach: Outreach, services: Services) -> None:
    """Look for what was lost on the way, and let happen what follows."""
    async with transaction(services.pool, Scope(workspace_id=outreach.workspace_id)) as session:
        await jobs.enqueue(session, "sweep_sends", outreach.workspace_id, [jobs.Job(services.clock.now())])
    await outreach.run_jobs()


async def settle(outreach: Outreach, draft_id: str, decision: str) -> tuple[int, dict[str, Any]]:
    """Settle a send; returns the status and the answer."""
    body = {"decision": decision, "note": "asked the recipient by phone"}
    response = await outreach.client.post(f"{outreach.path}/unknown-sends/{draft_id}/settle", json=body)
    return response.status_code, response.json()

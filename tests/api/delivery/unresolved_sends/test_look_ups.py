"""Looking for sends of unknown outcome, until a person is asked."""

import time
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from api.http.resources import Services
from tests.api.delivery.unresolved_sends.worlds import behave, claimed_ago, look_now, one_of, unknown_send
from tests.api.sending_workspace import Outreach

pytestmark = pytest.mark.anyio


async def job_of(outreach: Outreach) -> dict[str, Any]:
    """Return the one job that looks the send up."""
    (job,) = (await outreach.get("/jobs", type="reconcile_send"))["items"]
    found: dict[str, Any] = job
    return found


def attempts_left(job: dict[str, Any]) -> int:
    """Return how often a job may still fail."""
    left: int = job["maxAttempts"] - job["attempts"]
    return left


async def test_what_the_list_shows_was_sent(outreach: Outreach, database_url: str) -> None:
    """A look in vain is noted, costs no attempt, and the next waits twice as long; one that finds it settles it."""
    draft_id = await unknown_send(outreach, taken=True)
    left = attempts_left(await job_of(outreach))
    await look_now(outreach, database_url)
    shown = await one_of(outreach, draft_id)
    pause = datetime.fromisoformat(shown["nextLookUpAt"]) - datetime.fromisoformat(shown["lookedUpAt"])
    assert (shown["lookUps"], shown["isStuck"]) == (1, False)
    assert pause == timedelta(minutes=30)
    job = await job_of(outreach)
    assert (job["status"], attempts_left(job)) == ("pending", left)
    assert shown["lookUpError"] == job["lastError"]

    behave(outreach, lists=True)
    await look_now(outreach, database_url)

    draft = await outreach.get(f"/drafts/{draft_id}")
    assert (draft["status"], draft["errorReason"]) == ("sent", None)
    assert (await outreach.get("/unknown-sends"))["items"] == []
    assert (await job_of(outreach))["status"] == "completed"


async def test_a_send_without_an_answer_becomes_stuck(outreach: Outreach, database_url: str) -> None:
    """The wait is the workspace's: when it is over, one last look is made and no more; then the send is stuck."""
    await outreach.client.patch(outreach.path, json={"unknownWaitHours": 2})
    draft_id = await unknown_send(outreach, taken=False)
    shown = await one_of(outreach, draft_id)
    wait = datetime.fromisoformat(shown["stuckAt"]) - datetime.fromisoformat(shown["claimedAt"])
    assert wait == timedelta(hours=2)

    await claimed_ago(database_url, 1.9)
    await look_now(outreach, database_url)
    shown = await one_of(outreach, draft_id)
    assert shown["nextLookUpAt"] == shown["stuckAt"]
    await claimed_ago(database_url, 2.1)
    await look_now(outreach, database_url)

    shown = await one_of(outreach, draft_id)
    assert (shown["isStuck"], shown["lookUps"], shown["nextLookUpAt"]) == (True, 2, None)
    assert (await job_of(outreach))["status"] == "completed"


async def test_what_is_stuck_is_found(outreach: Outreach, database_url: str) -> None:
    """`isStuck` divides the list, and the pages of each half meet; the evidence names lead, sequence and sync."""
    stuck = [await unknown_send(outreach, taken=False, email=f"{name}@lead.example") for name in "abc"]
    await claimed_ago(database_url, 25)
    fresh = await unknown_send(outreach, taken=False, email="d@lead.example")
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        await owner.execute(
            "INSERT INTO everlytic.sync_cursors (workspace_id, resource, error)"
            " VALUES (%s, 'transactions', 'HTTP 502')",
            [outreach.workspace_id],
        )

    found, query = [], {"isStuck": "true", "limit": "2"}
    for _ in range(2):
        page = await outreach.get("/unknown-sends", **query)
        found += page["items"]
        query["cursor"] = page["nextCursor"]
    assert [one["draftId"] for one in found] == stuck[::-1]
    assert page["nextCursor"] is None
    assert {one["isStuck"] for one in found} == {True}
    (other,) = (await outreach.get("/unknown-sends", isStuck="false"))["items"]
    assert other == await one_of(outreach, fresh)
    assert (other["recipient"], other["subject"], other["sequenceName"]) == ("d@lead.example", "One", "Spring")
    assert other["lastSync"]["error"] == "HTTP 502"
    assert len((await outreach.get("/unknown-sends"))["items"]) == 4


@pytest.mark.parametrize("trouble", ["unavailable", "html_error", "reset_before_accept"])
async def test_a_look_that_fails_waits(outreach: Outreach, database_url: str, trouble: str) -> None:
    """An Everlytic that does not answer is asked again later and says why; nothing is counted, nothing given up."""
    draft_id = await unknown_send(outreach, taken=True)
    behave(outreach, trouble, lists=True, routes=("read",))
    left = attempts_left(await job_of(outreach))
    await claimed_ago(database_url, 30)

    await look_now(outreach, database_url)

    shown, job = await one_of(outreach, draft_id), await job_of(outreach)
    assert (shown["lookUps"], shown["isStuck"], job["status"], attempts_left(job)) == (0, True, "pending", left)
    assert shown["lookUpError"].startswith("The lookup of the send failed: ")
    behave(outreach, lists=True)
    await look_now(outreach, database_url)
    assert (await outreach.get(f"/drafts/{draft_id}"))["status"] == "sent"


async def test_a_lookup_waits_real_time(outreach: Outreach, services: Services, database_url: str) -> None:
    """The provider's Retry-After is real time: where business time is fast, it is longer in business time."""
    await unknown_send(outreach, taken=True)
    behave(outreach, "unavailable", lists=True, routes=("read",))
    switches = {"retry_after": "always", "retry_after_seconds": 7200}
    outreach.sandbox.tell("scenarios", username=outreach.username, switches=switches)
    await claimed_ago(database_url, 30)
    clock = services.clock
    clock.real_start, clock.virtual_start, clock.speed = time.time(), clock.now(), 60.0
    started = clock.now()

    await look_now(outreach, database_url)

    run_at = datetime.fromisoformat((await job_of(outreach))["runAt"])
    assert started <= run_at - 60 * timedelta(seconds=7200) <= clock.now()


async def test_without_a_connection_a_look_waits_for_one(
    outreach: Outreach, services: Services, database_url: str
) -> None:
    """A connection that is disabled, or gone, fails the look with the reason; when it is back, the mail is found."""
    draft_id = await unknown_send(outreach, taken=True)
    behave(outreach, lists=True)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as owner:
        await owner.execute(
            "UPDATE app.everlytic_connections SET disabled_at = now(), disabled_reason = 'the key was revoked'"
        )
        await look_now(outreach, database_url)
        disabled = (await one_of(outreach, draft_id))["lookUpError"]
        await owner.execute("CREATE TEMPORARY TABLE kept AS SELECT * FROM app.everlytic_connections")
        await owner.execute("DELETE FROM app.everlytic_connections")
        await look_now(outreach, database_url)
        gone = (await one_of(outreach, draft_id))["lookUpError"]
        await owner.execute("UPDATE kept SET disabled_at = NULL")
        await owner.execute("INSERT INTO app.everlytic_connections SELECT * FROM kept")
    await look_now(outreach, database_url)

    assert disabled == "The send cannot be looked up: the Everlytic connection is disabled: the key was revoked."
    assert gone == "The send cannot be looked up: the workspace has no Everlytic connection."
    assert (await outreach.get(f"/drafts/{draft_id}"))["status"] == "sent"

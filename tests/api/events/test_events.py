from typing import Any

import psycopg
import pytest

from api.resources import Services
from database import jobs
from database.tenancy import Scope, transaction
from tests.api.outreach import Outreach

pytestmark = pytest.mark.anyio


async def types_of(outreach: Outreach) -> list[str]:
    """Return the types of the workspace's events, oldest first."""
    events: list[dict[str, Any]] = (await outreach.get("/events"))["items"]
    return [event["type"] for event in sorted(events, key=lambda event: str(event["occurredAt"]))]


async def test_what_the_provider_says_is_stored_once(outreach: Outreach) -> None:
    """Pushed events become events of the message; a duplicate delivery adds nothing."""
    _, mail = await outreach.send_one()
    outreach.sandbox.tell(
        "scenarios", username=outreach.username, scenarios=[{"name": "duplicate_webhooks", "probability": 1}]
    )

    await outreach.hear(mail, "delivered")

    assert "delivered" in await types_of(outreach)
    assert len(set(await types_of(outreach))) == len(await types_of(outreach))


@pytest.mark.parametrize(
    ("said", "data", "reason", "enrollment", "lead"),
    [
        ("bounce", {"bounce_type": "hard"}, "hard_bounce", "paused", "Contacted"),
        ("bounce", {}, "hard_bounce", "paused", "Contacted"),
        ("unsubscribe", {}, "unsubscribed", "unsubscribed", "Unsubscribed"),
        ("complaint", {}, "unsubscribed", "unsubscribed", "Unsubscribed"),
    ],
)
async def test_a_no_stops_the_lead(
    outreach: Outreach, said: str, data: dict[str, str], reason: str, enrollment: str, lead: str
) -> None:
    """A hard bounce, a bounce of unknown kind, an unsubscribe and a complaint suppress and stop the sequence."""
    lead_id, mail = await outreach.send_one()

    await outreach.hear(mail, said, **data)

    (suppression,) = (await outreach.get("/suppressions"))["items"]
    (enrolled,) = (await outreach.get("/enrollments"))["items"]
    assert (reason, enrollment) == (suppression["reason"], enrolled["status"])
    assert lead == (await outreach.get(f"/leads/{lead_id}"))["status"]


async def test_a_soft_bounce_stops_nothing(outreach: Outreach) -> None:
    """A full mailbox is stored as a bounce, and the lead stays in the sequence."""
    _, mail = await outreach.send_one()

    await outreach.hear(mail, "bounce", bounce_type="soft")

    assert (await outreach.get("/suppressions"))["items"] == []
    (enrolled,) = (await outreach.get("/enrollments"))["items"]
    assert enrolled["status"] == "active"


async def test_an_open_at_once_is_a_machine(outreach: Outreach) -> None:
    """An open within seconds of delivery is a scanner's, with the rule that says so."""
    _, mail = await outreach.send_one()
    await outreach.hear(mail, "delivered")

    await outreach.hear(mail, "open")

    (opened,) = (await outreach.get("/events", type="opened"))["items"]
    assert (opened["verdict"], opened["verdictRule"]) == ("machine", "too-soon/1")


async def test_an_event_proves_an_unknown_send(outreach: Outreach) -> None:
    """After a call that never answered, the provider's own event settles that the mail went out."""
    outreach.fault("timeout_after_accept")
    _, mail = await outreach.send_one()

    await outreach.hear(mail, "delivered")

    (draft,) = [one for one in (await outreach.get("/drafts"))["items"] if one["stepOrder"] == 1]
    assert (draft["status"], draft["errorReason"]) == ("sent", None)


async def test_a_synced_transaction_settles_an_unknown_send(
    outreach: Outreach, services: Services, database_url: str
) -> None:
    """Where no webhook came, the transaction list that Dagster landed proves that the mail went out."""
    outreach.sandbox.tell("scenarios", username=outreach.username, scenarios=[{"name": "accepted_no_events"}])
    outreach.fault("timeout_after_accept")
    _, mail = await outreach.send_one()
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        await owner.execute(
            "INSERT INTO everlytic.transactions (workspace_id, transaction_id, message_id, raw)"
            " VALUES (%s, 'tx-1', %s, '{}')",
            [outreach.workspace_id, mail["message_id"]],
        )
    async with transaction(services.pool, Scope(workspace_id=outreach.workspace_id)) as session:
        await jobs.enqueue(session, "sync_analytics", outreach.workspace_id, [jobs.Job(services.clock.now())])
    await outreach.run_jobs()

    (draft,) = [one for one in (await outreach.get("/drafts"))["items"] if one["stepOrder"] == 1]
    assert draft["status"] == "sent"

from typing import Any
from uuid import UUID

import psycopg
import pytest

from api.http.resources import Services
from database import jobs
from database.tenancy import Scope, transaction
from tests.api.sending_workspace import Outreach
from tests.business_clock import BUSINESS_NOW

pytestmark = pytest.mark.anyio


async def types_of(outreach: Outreach) -> list[str]:
    """Return the types of the workspace's events, oldest first."""
    events: list[dict[str, Any]] = (await outreach.get("/events"))["items"]
    return [event["type"] for event in sorted(events, key=lambda event: str(event["occurredAt"]))]


async def send_the_rest(outreach: Outreach) -> list[str]:
    """Approve what waits for review and let it go out; returns the subjects of all mails so far, in order."""
    (enrolled,) = (await outreach.get("/enrollments"))["items"]
    await outreach.post("/drafts/approve", {"sequenceId": enrolled["sequenceId"]})
    await outreach.run_jobs()
    return sorted(mail["subject"] for mail in outreach.mails())


async def test_what_the_provider_says_is_stored_once(outreach: Outreach) -> None:
    """Pushed events become events of the message; a duplicate delivery adds nothing."""
    _, mail = await outreach.send_one()
    outreach.sandbox.tell(
        "scenarios", username=outreach.username, scenarios=[{"name": "duplicate_webhooks", "probability": 1}]
    )

    await outreach.hear(mail, "delivered")

    assert (await types_of(outreach)).count("delivered") == 1
    assert len(set(await types_of(outreach))) == len(await types_of(outreach))


@pytest.mark.parametrize(
    ("said", "data", "reason", "enrollment", "lead"),
    [
        ("bounce", {"bounce_type": "hard"}, "hard_bounce", "paused", "Contacted"),
        ("bounce", {"bounce_reason": "550 5.1.1 no such user"}, "hard_bounce", "paused", "Contacted"),
        ("unsubscribe", {}, "unsubscribed", "unsubscribed", "Unsubscribed"),
        ("complaint", {}, "complaint", "unsubscribed", "Unsubscribed"),
    ],
)
async def test_a_no_stops_the_lead(
    outreach: Outreach, said: str, data: dict[str, str], reason: str, enrollment: str, lead: str
) -> None:
    """A hard bounce, one whose reason alone names the address, an unsubscribe and a complaint suppress and stop.

    What waited for review goes out no more.
    """
    lead_id, mail = await outreach.send_one()

    await outreach.hear(mail, said, **data)

    (suppression,) = (await outreach.get("/suppressions"))["items"]
    (enrolled,) = (await outreach.get("/enrollments"))["items"]
    assert (suppression["value"], suppression["reason"]) == ("thandi@lead.example", reason)
    assert enrolled["status"] == enrollment
    assert lead == (await outreach.get(f"/leads/{lead_id}"))["status"]
    assert await send_the_rest(outreach) == ["One"]


async def test_a_soft_bounce_stops_nothing(outreach: Outreach) -> None:
    """A full mailbox is stored as a bounce, and the lead stays in the sequence."""
    _, mail = await outreach.send_one()

    await outreach.hear(mail, "bounce", bounce_type="soft")

    assert (await outreach.get("/suppressions"))["items"] == []
    (enrolled,) = (await outreach.get("/enrollments"))["items"]
    assert enrolled["status"] == "active"
    (bounced,) = (await outreach.get("/events", type="bounced"))["items"]
    assert bounced["data"]["bounce_type"] == "soft"
    assert await send_the_rest(outreach) == ["One", "Two"]


async def test_an_open_at_once_is_a_machine(outreach: Outreach) -> None:
    """An open within seconds of delivery is a scanner's, with the rule that says so."""
    _, mail = await outreach.send_one()
    await outreach.hear(mail, "delivered")

    await outreach.hear(mail, "open")

    (opened,) = (await outreach.get("/events", type="opened"))["items"]
    assert (opened["verdict"], opened["verdictRule"]) == ("machine", "too-soon/2")


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


async def ids_of(outreach: Outreach, **query: str) -> list[str]:
    """Return the ids of the events that a query finds, in its order."""
    return [event["id"] for event in (await outreach.get("/events", limit="500", **query))["items"]]


async def test_events_are_looked_for(outreach: Outreach) -> None:
    """Each filter finds the events that have it, all of them, and none else."""
    lead_id, mail = await outreach.send_one()
    await outreach.hear(mail, "delivered")
    await outreach.hear(mail, "open")
    events = (await outreach.get("/events"))["items"]
    assert [one["id"] for one in events] == sorted((one["id"] for one in events), reverse=True)
    (draft_id,) = {one["draftId"] for one in events}
    (sequence_id,) = {one["sequenceId"] for one in events}
    assert {one["leadId"] for one in events} == {lead_id}
    everything = [one["id"] for one in events]
    unknown_id = str(UUID(int=0))

    for name, value in (("draftId", draft_id), ("leadId", lead_id), ("sequenceId", sequence_id)):
        assert await ids_of(outreach, **{name: value}) == everything
        assert await ids_of(outreach, **{name: unknown_id}) == []
    assert await ids_of(outreach, type="opened") == [one["id"] for one in events if one["type"] == "opened"]
    assert await ids_of(outreach, verdict="machine") == [one["id"] for one in events if one["verdict"] == "machine"]
    assert await ids_of(outreach, verdict="human") == []
    for one in events:
        assert await outreach.get(f"/events/{one['id']}") == one


async def test_events_of_a_period(outreach: Outreach, database_url: str) -> None:
    """A period begins with `since` and ends before `until`; by time the pages meet, also within one instant."""
    await outreach.send_one()
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        await owner.execute(
            "INSERT INTO app.email_events (workspace_id, draft_id, provider_event_key, type, occurred_at)"
            " SELECT workspace_id, id, 'k' || n, 'opened', timestamptz '2026-03-02 09:00Z' - n / 3 * interval '1 hour'"
            " FROM app.email_drafts, generate_series(0, 8) AS n WHERE sent_at IS NOT NULL"
        )
    events = (await outreach.get("/events", type="opened"))["items"]
    by_time = [one["id"] for one in sorted(events, key=lambda one: (one["occurredAt"], one["id"]))]
    assert len(by_time) == 9

    period = {"since": "2026-03-02T10:00:00+02:00", "until": "2026-03-02T09:00:00Z"}
    assert sorted(await ids_of(outreach, **period)) == sorted(by_time[3:6])
    assert await ids_of(outreach, sort="occurredAt", type="opened") == by_time
    met: list[str] = []
    query = {"sort": "-occurredAt", "type": "opened", "limit": "2"}
    for _ in range(5):
        page = await outreach.get("/events", **query)
        met += [one["id"] for one in page["items"]]
        query["cursor"] = page["nextCursor"]
    assert met == by_time[::-1]
    assert page["nextCursor"] is None


@pytest.mark.parametrize(
    "query",
    [
        {"type": "vanished"},
        {"verdict": "cat"},
        {"leadId": "x"},
        {"since": "yesterday"},
        {"until": "2026-01-01T00:00:00"},
        {"sort": "type"},
        {"cursor": "x"},
    ],
)
async def test_invalid_filters(outreach: Outreach, query: dict[str, str]) -> None:
    """An invalid filter, and a time without a zone, are refused with the field named."""
    response = await outreach.client.get(f"{outreach.path}/events", params=query)
    assert response.status_code == 422
    assert response.json()["errors"][0]["location"] == ["query", *query]


async def test_there_is_no_such_event(outreach: Outreach) -> None:
    """An event that is not the workspace's is not found."""
    assert (await outreach.client.get(f"{outreach.path}/events/{UUID(int=0)}")).status_code == 404


@pytest.mark.parametrize(
    "poison", ['"\\u0000"', '"\\ud800"', "NaN", "-Infinity", "1e999", "[" * 700 + "]" * 700, '{"\\u0000": 1}']
)
async def test_what_cannot_be_stored_holds_up_nothing(outreach: Outreach, database_url: str, poison: str) -> None:
    """A push with a value that the database cannot hold is cleaned or set aside; the events after it are applied."""
    _, mail = await outreach.send_one()
    event = (
        '{"id": "7", "type": "click", "timestamp": "2026-01-05T15:41:31Z", "data": [{"link_url": %s, "transaction":'
        f' {{"message_id": "{mail["message_id"]}"}}, "recipient": {{"email": "thandi@lead.example"}}}}]}}'
    ) % poison
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        await owner.execute(
            "INSERT INTO everlytic.webhook_deliveries (workspace_id, content_type, body, received_at)"
            f" VALUES (%s, 'application/json', %s, {BUSINESS_NOW})",
            [outreach.workspace_id, event.encode()],
        )

    await outreach.hear(mail, "delivered")

    assert "delivered" in await types_of(outreach)
    async with await psycopg.AsyncConnection.connect(database_url) as owner:
        left = await owner.execute("SELECT FROM everlytic.webhook_deliveries WHERE applied_at IS NULL")
        assert await left.fetchall() == []

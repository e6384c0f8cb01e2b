"""Tests the sandbox's deliveries: webhooks in each format with retries, replies as mail, one-click unsubscribes."""

import asyncio
import contextlib
import email
import email.policy
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from everlytic.client import EverlyticClient
from everlytic.errors import ConnectionLost, InvalidRequest
from everlytic.models import WebhookRegistration
from everlytic.webhooks import ProviderEvent, parse_delivery, verify_basic_auth
from tests.everlytic.mails import make_mail
from tests.receiver import Receiver
from tests.sandbox import Sandbox

pytestmark = pytest.mark.anyio

DAY = 86_400


def events_of(receiver: Receiver) -> list[ProviderEvent]:
    """Return the events of all accepted deliveries, in order of arrival."""
    now = datetime.now(UTC)
    return [
        event
        for request in receiver.accepted()
        for event in parse_delivery(request.body, request.headers["content-type"], now)
    ]


def reprocess_failed_webhooks(sandbox: Sandbox, username: str) -> None:
    """Queue the failed deliveries of the last seven days again."""
    path, auth = "/transactional/email/v1/webhooks/failed/reprocess", (username, f"sandbox-key-{username}")
    assert sandbox.control.get(path, auth=auth).json() == {"status": True}


async def create_subscribed_username(
    sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver, **registration: Any
) -> tuple[str, EverlyticClient]:
    """Return a new username with one webhook on ``receiver``, and its client."""
    username = sandbox.new_username()
    client = sandbox.client(http, username)
    await client.create_webhook(WebhookRegistration(url=f"{receiver.url}/hook", **registration))
    return username, client


@pytest.mark.parametrize("field_set", ["standard", "legacy"])
@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize(
    "switches", [{}, {"form_style": "brackets", "timestamp_format": "unix", "unknown_fields": True}]
)
async def test_a_delivery_follows_its_registration(
    sandbox: Sandbox,
    http: httpx.AsyncClient,
    receiver: Receiver,
    field_set: str,
    content_type: str,
    switches: dict[str, object],
) -> None:
    """Field set, content type, verb and credentials are as registered, and our parser accepts every format."""
    username, client = await create_subscribed_username(
        sandbox, http, receiver, field_set=field_set, content_type=content_type, verb="put",
        username="hook", password=SecretStr("pa:ss"),
    )  # fmt: skip
    sandbox.tell("scenarios", username=username, switches=switches)
    sent = await client.send(make_mail())
    event = {"username": username, "transaction_id": sent.transaction_id, "type": "bounce"}
    sandbox.tell("events", **event, data={"bounce_type": "hard", "bounce_reason": "user-unknown"})
    sandbox.wait_until(lambda: any(event.type == "bounce" for event in events_of(receiver)))
    bounce = next(event for event in events_of(receiver) if event.type == "bounce")
    assert (bounce.transaction_id, bounce.message_id) == (sent.transaction_id, "draft-1")
    assert (bounce.recipient, bounce.group_name) == ("thandi@lead.example", "sequence-1")
    assert bounce.data["bounce_type"] == "hard"
    first = receiver.received[0]
    assert (first.verb, first.headers["content-type"]) == ("PUT", content_type)
    assert verify_basic_auth(first.headers["authorization"], "hook", "pa:ss")


async def test_failed_deliveries_are_retried_and_reprocessed(
    sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver
) -> None:
    """A delivery is retried after five minutes, fails after three days, and is sent again by a reprocess.

    `test_dispatcher.py` tests the times of all attempts in between.
    """
    receiver.answer = lambda _: 503
    username, client = await create_subscribed_username(sandbox, http, receiver, event_types=("failed",))
    sent = await client.send(make_mail())
    sandbox.tell("events", username=username, transaction_id=sent.transaction_id, type="failed")
    sandbox.wait_until(lambda: len(receiver.received) == 1)
    sandbox.settle()
    sandbox.advance(200)
    sandbox.settle()
    assert len(receiver.received) == 1
    sandbox.advance(101)
    sandbox.wait_until(lambda: len(receiver.received) == 2)
    sandbox.settle()
    sandbox.advance(3 * DAY)
    sandbox.wait_until(lambda: sandbox.ask("state")["tenants"][username]["failed_deliveries"] == 1)
    sandbox.advance(DAY)
    sandbox.settle()
    before = len(receiver.received)
    receiver.answer = lambda _: 200
    reprocess_failed_webhooks(sandbox, username)
    sandbox.wait_until(lambda: len(receiver.received) == before + 1)
    sandbox.settle()
    (mail,) = sandbox.ask("ledger", username=username)
    assert mail["events"]["failed"][0]["delivered_at"] >= mail["events"]["failed"][0]["occurred_at"] + 4 * DAY


async def test_a_reprocess_covers_seven_days(sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver) -> None:
    """A delivery that failed more than seven days ago is not queued again."""
    receiver.answer = lambda _: 500
    username, client = await create_subscribed_username(sandbox, http, receiver, event_types=("failed",))
    sent = await client.send(make_mail())
    sandbox.tell("events", username=username, transaction_id=sent.transaction_id, type="failed")
    sandbox.wait_until(lambda: len(receiver.received) == 1)
    sandbox.settle()
    sandbox.advance(3 * DAY)
    sandbox.wait_until(lambda: sandbox.ask("state")["tenants"][username]["failed_deliveries"] == 1)
    sandbox.advance(7 * DAY + 60)
    reprocess_failed_webhooks(sandbox, username)
    sandbox.settle()
    assert sandbox.ask("state")["tenants"][username]["failed_deliveries"] == 1


async def test_records_are_batched(sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver) -> None:
    """With the switch several records of a type are in one `data`; an incomplete batch is sent after a wait."""
    username, client = await create_subscribed_username(sandbox, http, receiver, event_types=("sent",))
    sandbox.tell("scenarios", username=username, switches={"records_per_delivery": 4})
    await asyncio.gather(*(client.send(make_mail(f"p{n}@x.example", message_id=f"m{n}")) for n in range(10)))
    sandbox.advance(10)
    sandbox.settle()
    sandbox.advance(100)
    sandbox.settle()
    assert sorted(len(json.loads(request.body)["data"]) for request in receiver.received) == [2, 4, 4]
    assert {event.message_id for event in events_of(receiver)} == {f"m{n}" for n in range(10)}


async def test_delivery_faults(sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver) -> None:
    """Webhooks are duplicated, delayed, lost and sent with unknown types, and their keys still identify the events."""
    username, client = await create_subscribed_username(sandbox, http, receiver)
    faults = ("duplicate_webhooks", "out_of_order_webhooks", "lost_webhooks", "unknown_event_type")
    sandbox.tell("scenarios", username=username, scenarios=[{"name": fault, "probability": 0.2} for fault in faults])
    await asyncio.gather(*(client.send(make_mail(f"p{n}@x.example", message_id=f"m{n}")) for n in range(50)))
    sandbox.advance(80 * 3600)
    sandbox.settle()
    assert sandbox.ask("state")["tenants"][username]["pending_deliveries"] > 0
    sandbox.advance(3600)
    sandbox.settle()
    assert sandbox.ask("state")["tenants"][username]["pending_deliveries"] == _count_waiting_replies(sandbox, username)
    received = [event for event in events_of(receiver) if event.type in WEBHOOK_TYPES]
    happened = [event for mail in sandbox.ask("ledger", username=username) for event in _webhook_events(mail)]
    fault_counts = sandbox.ask("state")["tenants"][username]["faults"]
    assert all(fault_counts[fault] > 0 for fault in faults)
    assert len({event.key for event in received}) == len(happened) - fault_counts["lost_webhooks"]
    assert len(received) > len({event.key for event in received})
    assert any(event.type == "amp_interaction" for event in events_of(receiver))


WEBHOOK_TYPES = ("sent", "delivered", "failed", "open", "click", "bounce", "unsubscribe", "resubscribe")


def _count_waiting_replies(sandbox: Sandbox, username: str) -> int:
    """Return the number of replies that wait because no inbound URL is set."""
    return sum(len(mail["events"].get("reply", [])) for mail in sandbox.ask("ledger", username=username))


def _webhook_events(mail: dict[str, Any]) -> list[dict[str, Any]]:
    return [event for kind in WEBHOOK_TYPES for event in mail["events"].get(kind, [])]


async def test_the_sent_event_can_precede_the_response(
    sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver
) -> None:
    """With the fault the receiver has the sent event before the send returns, and gets it only once."""
    username, client = await create_subscribed_username(sandbox, http, receiver, event_types=("sent",))
    scenario = {"name": "sent_event_before_response", "probability": 1}
    sandbox.tell("scenarios", username=username, scenarios=[scenario])
    await client.send(make_mail())
    assert [event.type for event in events_of(receiver)] == ["sent"]
    sandbox.advance(60)
    sandbox.settle()
    assert len(receiver.received) == 1


@pytest.mark.parametrize("has_response", [True, False])
async def test_an_accepted_mail_can_have_no_events(
    sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver, has_response: bool
) -> None:
    """With the fault an accepted mail has no events and stays queued, also when its response is lost."""
    username, client = await create_subscribed_username(sandbox, http, receiver)
    faults = ["accepted_no_events"] if has_response else ["accepted_no_events", "reset_after_accept"]
    scenarios = [{"name": name, "probability": 1} for name in faults]
    sandbox.tell("scenarios", username=username, scenarios=scenarios)
    with contextlib.nullcontext() if has_response else pytest.raises(ConnectionLost):
        await client.send(make_mail())
    sandbox.advance(4 * DAY)
    sandbox.settle()
    assert receiver.received == []
    assert [transaction.status async for transaction in client.iter_transactions()] == ["queued"]


@pytest.mark.parametrize(("switch", "accepted"), [("accept_then_failed", True), ("reject_400", False)])
async def test_a_send_to_an_opted_out_recipient_fails(
    sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver, switch: str, accepted: bool
) -> None:
    """After an unsubscribe a send is refused or fails later, as the switch says; a resubscribe ends that."""
    username, client = await create_subscribed_username(sandbox, http, receiver, event_types=("failed",))
    sandbox.tell("scenarios", username=username, switches={"opted_out": switch})
    sent = await client.send(make_mail())
    sandbox.tell("events", username=username, transaction_id=sent.transaction_id, type="unsubscribe")
    if accepted:
        await client.send(make_mail(message_id="draft-2"))
        sandbox.advance(60)
        sandbox.wait_until(lambda: [event.message_id for event in events_of(receiver)] == ["draft-2"])
    else:
        with pytest.raises(InvalidRequest, match=r"headers\.to"):
            await client.send(make_mail(message_id="draft-2"))
    sandbox.tell("events", username=username, transaction_id=sent.transaction_id, type="resubscribe")
    await client.send(make_mail(message_id="draft-3"))
    truth = sandbox.ask("truth", username=username)["sequence-1"]
    assert (truth["unsubscribed"], truth["resubscribed"]) == (1, 1)


async def test_a_reply_is_posted_as_mail(sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver) -> None:
    """A reply is raw MIME posted to the inbound URL, refers to our mail, and waits until a URL is set."""
    username, client = await create_subscribed_username(sandbox, http, receiver, event_types=("resubscribe",))
    sent = await client.send(make_mail())
    injected = {"username": username, "transaction_id": sent.transaction_id, "type": "reply"}
    sandbox.tell("events", **injected, data={"reply_kind": "interested", "text": "Yes please, Jürgen"})
    sandbox.settle()
    assert receiver.received == []
    inbound = {"url": f"{receiver.url}/inbound", "headers": {"X-Secret": "s"}}
    sandbox.control.put(f"/__sandbox__/tenants/{username}/inbound", json=inbound).raise_for_status()
    sandbox.advance(301)
    sandbox.wait_until(lambda: len(receiver.received) == 1)
    request = receiver.received[0]
    assert (request.path, request.headers["content-type"]) == ("/inbound", "message/rfc822")
    assert request.headers["x-secret"] == "s"
    mail = email.message_from_bytes(request.body, policy=email.policy.default)
    assert mail["In-Reply-To"] == mail["References"] == "<draft-1@sandbox.everlytic>"
    assert mail["From"] == "Thandi <thandi@lead.example>"
    assert mail["To"] == "replies@sales.example"
    body = mail.get_body(("plain",))
    assert body is not None
    assert body.get_content().startswith("Yes please, Jürgen")
    assert mail["Auto-Submitted"] is None


async def test_an_out_of_office_reply_is_automatic(
    sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver
) -> None:
    """An automatic reply has the header of RFC 3834 and is counted separately."""
    username, client = await create_subscribed_username(sandbox, http, receiver, event_types=("resubscribe",))
    sandbox.control.put(f"/__sandbox__/tenants/{username}/inbound", json={"url": receiver.url}).raise_for_status()
    sent = await client.send(make_mail())
    injected = {"username": username, "transaction_id": sent.transaction_id, "type": "reply"}
    sandbox.tell("events", **injected, data={"reply_kind": "out_of_office"})
    sandbox.wait_until(lambda: len(receiver.received) == 1)
    mail = email.message_from_bytes(receiver.received[0].body, policy=email.policy.default)
    assert mail["Auto-Submitted"] == "auto-replied"
    truth = sandbox.ask("truth", username=username)["sequence-1"]
    assert (truth["replied"], truth["auto_replied"]) == (0, 1)


async def test_one_click_unsubscribe_is_posted(sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver) -> None:
    """The List-Unsubscribe URL gets the POST of RFC 8058 only when the mail offers one-click."""
    username, client = await create_subscribed_username(sandbox, http, receiver, event_types=("resubscribe",))
    headers = {"List-Unsubscribe": f"<mailto:u@x.test>, <{receiver.url}/u/token>"}
    plain = await client.send(make_mail(custom_headers=headers))
    one_click = await client.send(
        make_mail(custom_headers={**headers, "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"})
    )
    for sent in (plain, one_click):
        sandbox.tell("events", username=username, transaction_id=sent.transaction_id, type="one_click")
    sandbox.settle()
    (request,) = receiver.received
    assert (request.verb, request.path, request.body) == ("POST", "/u/token", b"List-Unsubscribe=One-Click")


async def test_ledger_totals_and_deliveries_agree(
    sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver
) -> None:
    """After all deliveries each event of the ledger was delivered once, and the totals match the events."""
    username, client = await create_subscribed_username(sandbox, http, receiver)
    sandbox.control.put(
        f"/__sandbox__/tenants/{username}/inbound", json={"url": f"{receiver.url}/in"}
    ).raise_for_status()
    await asyncio.gather(*(client.send(make_mail(f"p{n}@y{n % 9}.example", message_id=f"m{n}")) for n in range(120)))
    sandbox.advance(80 * 3600)
    sandbox.settle()
    ledger = sandbox.ask("ledger", username=username)
    happened = [event for mail in ledger for events in mail["events"].values() for event in events]
    assert all(event["delivered_at"] is not None for event in happened)
    assert len(happened) == len(receiver.received)
    truth = sandbox.ask("truth", username=username)["sequence-1"]
    assert truth["accepted"] == truth["sent"] == 120
    assert truth["delivered"] == sum("delivered" in mail["events"] for mail in ledger)
    assert truth["opened"] == sum("open" in mail["events"] for mail in ledger)
    assert truth["bounced"] == truth["bounced_hard"] + truth["bounced_soft"]

"""What the sandbox posts: webhooks in each shape with retries, replies as mail, one-click unsubscribes."""

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
from everlytic.errors import ConnectionLost
from everlytic.models import WebhookRegistration
from everlytic.webhooks import ProviderEvent, matches_basic, parse_delivery
from tests.everlytic.mails import a_mail
from tests.receiver import Receiver
from tests.sandbox import Sandbox

pytestmark = pytest.mark.anyio

DAY = 86_400


def events_of(receiver: Receiver) -> list[ProviderEvent]:
    """All events of accepted deliveries, in order of arrival."""
    now = datetime.now(UTC)
    return [
        event for one in receiver.accepted() for event in parse_delivery(one.body, one.headers["content-type"], now)
    ]


async def subscribed(
    sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver, **registration: Any
) -> tuple[str, EverlyticClient]:
    """A new username with one webhook on ``receiver``, and its client."""
    username = sandbox.new_username()
    client = sandbox.client(http, username)
    await client.create_webhook(WebhookRegistration(url=f"{receiver.url}/hook", **registration))
    return username, client


@pytest.mark.parametrize("field_set", ["standard", "legacy"])
@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize(
    "switches", [{}, {"form_style": "brackets", "timestamp_format": "unix", "unknown_fields": True}]
)
async def test_every_registration_is_honoured(
    sandbox: Sandbox,
    http: httpx.AsyncClient,
    receiver: Receiver,
    field_set: str,
    content_type: str,
    switches: dict[str, object],
) -> None:
    """Field set, content type, verb and credentials of a delivery are as registered, and our parser reads each."""
    username, client = await subscribed(
        sandbox, http, receiver, field_set=field_set, content_type=content_type, verb="put",
        username="hook", password=SecretStr("pa:ss"),
    )  # fmt: skip
    sandbox.tell("scenarios", username=username, switches=switches)
    sent = await client.send(a_mail())
    event = {"username": username, "transaction_id": sent.transaction_id, "type": "bounce"}
    sandbox.tell("events", **event, data={"bounce_type": "hard", "bounce_reason": "user-unknown"})
    sandbox.wait_until(lambda: any(one.type == "bounce" for one in events_of(receiver)))
    bounce = next(one for one in events_of(receiver) if one.type == "bounce")
    assert (bounce.transaction_id, bounce.message_id) == (sent.transaction_id, "draft-1")
    assert (bounce.recipient, bounce.group_name) == ("thandi@lead.example", "sequence-1")
    assert bounce.data["bounce_type"] == "hard"
    first = receiver.received[0]
    assert (first.verb, first.headers["content-type"]) == ("PUT", content_type)
    assert matches_basic(first.headers["authorization"], "hook", "pa:ss")


async def test_failed_deliveries_are_retried_then_parked_then_reprocessed(
    sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver
) -> None:
    """A failed delivery is retried after five minutes, parked after three days, and brought by a reprocess.

    The times of all tries between are those of `test_postman.py`.
    """
    receiver.answer = lambda _: 503
    username, client = await subscribed(sandbox, http, receiver, event_types=("failed",))
    sent = await client.send(a_mail())
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
    assert await client.reprocess_failed_webhooks()
    sandbox.wait_until(lambda: len(receiver.received) == before + 1)
    sandbox.settle()
    (mail,) = sandbox.ask("ledger", username=username)
    assert mail["events"]["failed"][0]["delivered_at"] >= mail["events"]["failed"][0]["occurred_at"] + 4 * DAY


async def test_a_reprocess_covers_seven_days(sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver) -> None:
    """What was parked longer ago than seven days stays parked."""
    receiver.answer = lambda _: 500
    username, client = await subscribed(sandbox, http, receiver, event_types=("failed",))
    sent = await client.send(a_mail())
    sandbox.tell("events", username=username, transaction_id=sent.transaction_id, type="failed")
    sandbox.wait_until(lambda: len(receiver.received) == 1)
    sandbox.settle()
    sandbox.advance(3 * DAY)
    sandbox.wait_until(lambda: sandbox.ask("state")["tenants"][username]["failed_deliveries"] == 1)
    sandbox.advance(7 * DAY + 60)
    assert await client.reprocess_failed_webhooks()
    sandbox.settle()
    assert sandbox.ask("state")["tenants"][username]["failed_deliveries"] == 1


async def test_records_are_batched(sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver) -> None:
    """With the switch on, several records of a type come in one `data`; the rest of a batch comes after a while."""
    username, client = await subscribed(sandbox, http, receiver, event_types=("sent",))
    sandbox.tell("scenarios", username=username, switches={"records_per_delivery": 4})
    await asyncio.gather(*(client.send(a_mail(f"p{n}@x.example", message_id=f"m{n}")) for n in range(10)))
    sandbox.advance(10)
    sandbox.settle()
    sandbox.advance(100)
    sandbox.settle()
    assert sorted(len(json.loads(one.body)["data"]) for one in receiver.received) == [2, 4, 4]
    assert {one.message_id for one in events_of(receiver)} == {f"m{n}" for n in range(10)}


async def test_delivery_faults(sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver) -> None:
    """Duplicates, late ones, lost ones and unheard-of types happen as asked for, and the keys still tell the truth."""
    username, client = await subscribed(sandbox, http, receiver)
    faults = ("duplicate_webhooks", "out_of_order_webhooks", "lost_webhooks", "unknown_event_type")
    sandbox.tell("scenarios", username=username, scenarios=[{"name": one, "probability": 0.2} for one in faults])
    await asyncio.gather(*(client.send(a_mail(f"p{n}@x.example", message_id=f"m{n}")) for n in range(50)))
    sandbox.advance(80 * 3600)
    sandbox.settle()
    assert sandbox.ask("state")["tenants"][username]["pending_deliveries"] > 0
    sandbox.advance(3600)
    sandbox.settle()
    assert sandbox.ask("state")["tenants"][username]["pending_deliveries"] == _unheard_replies(sandbox, username)
    seen = [one for one in events_of(receiver) if one.type != "amp_interaction" and one.type in LISTED]
    told = [event for mail in sandbox.ask("ledger", username=username) for event in _pushed(mail)]
    struck = sandbox.ask("state")["tenants"][username]["faults"]
    assert all(struck[one] > 0 for one in faults)
    assert len({one.key for one in seen}) == len(told) - struck["lost_webhooks"]
    assert len(seen) > len({one.key for one in seen})
    assert any(one.type == "amp_interaction" for one in events_of(receiver))


LISTED = ("sent", "delivered", "failed", "open", "click", "bounce", "unsubscribe", "resubscribe")


def _unheard_replies(sandbox: Sandbox, username: str) -> int:
    """Replies that wait in the mailbox because no inbound address is set."""
    return sum(len(mail["events"].get("reply", [])) for mail in sandbox.ask("ledger", username=username))


def _pushed(mail: dict[str, Any]) -> list[dict[str, Any]]:
    return [event for kind in LISTED for event in mail["events"].get(kind, [])]


async def test_the_sent_event_can_come_before_the_answer(
    sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver
) -> None:
    """With the fault on, the receiver has heard of the mail by the time send returns, and hears of it once."""
    username, client = await subscribed(sandbox, http, receiver, event_types=("sent",))
    scenario = {"name": "sent_event_before_response", "probability": 1}
    sandbox.tell("scenarios", username=username, scenarios=[scenario])
    await client.send(a_mail())
    assert [one.type for one in events_of(receiver)] == ["sent"]
    sandbox.advance(60)
    sandbox.settle()
    assert len(receiver.received) == 1


@pytest.mark.parametrize("answered", [True, False])
async def test_nothing_happens_after_a_silent_acceptance(
    sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver, answered: bool
) -> None:
    """An accepted mail without events stays queued in the read-back for ever, also when its answer was lost."""
    username, client = await subscribed(sandbox, http, receiver)
    faults = ["accepted_no_events"] if answered else ["accepted_no_events", "reset_after_accept"]
    scenarios = [{"name": name, "probability": 1} for name in faults]
    sandbox.tell("scenarios", username=username, scenarios=scenarios)
    with contextlib.nullcontext() if answered else pytest.raises(ConnectionLost):
        await client.send(a_mail())
    sandbox.advance(4 * DAY)
    sandbox.settle()
    assert receiver.received == []
    assert [one.status async for one in client.iter_transactions()] == ["queued"]


@pytest.mark.parametrize(("switch", "accepted"), [("accept_then_failed", True), ("reject_400", False)])
async def test_who_opted_out_is_not_mailed(
    sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver, switch: str, accepted: bool
) -> None:
    """After an unsubscribe a send fails, at once or as an event, as the switch says; a resubscribe ends it."""
    username, client = await subscribed(sandbox, http, receiver, event_types=("failed",))
    sandbox.tell("scenarios", username=username, switches={"opted_out": switch})
    sent = await client.send(a_mail())
    sandbox.tell("events", username=username, transaction_id=sent.transaction_id, type="unsubscribe")
    if accepted:
        await client.send(a_mail(message_id="draft-2"))
        sandbox.advance(60)
        sandbox.wait_until(lambda: [one.message_id for one in events_of(receiver)] == ["draft-2"])
    else:
        with pytest.raises(Exception, match="opted out"):
            await client.send(a_mail(message_id="draft-2"))
    sandbox.tell("events", username=username, transaction_id=sent.transaction_id, type="resubscribe")
    await client.send(a_mail(message_id="draft-3"))
    truth = sandbox.ask("truth", username=username)["sequence-1"]
    assert (truth["unsubscribed"], truth["resubscribed"]) == (1, 1)


async def test_a_reply_comes_as_mail(sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver) -> None:
    """A reply is raw MIME to the inbound address with its headers, threaded to our mail, and it waits until taken."""
    username, client = await subscribed(sandbox, http, receiver, event_types=("resubscribe",))
    sent = await client.send(a_mail())
    injected = {"username": username, "transaction_id": sent.transaction_id, "type": "reply"}
    sandbox.tell("events", **injected, data={"reply_kind": "interested", "text": "Yes please, Jürgen"})
    sandbox.settle()
    assert receiver.received == []
    inbound = {"url": f"{receiver.url}/inbound", "headers": {"X-Secret": "s"}}
    sandbox.control.put(f"/__sandbox__/tenants/{username}/inbound", json=inbound).raise_for_status()
    sandbox.advance(301)
    sandbox.wait_until(lambda: len(receiver.received) == 1)
    one = receiver.received[0]
    assert (one.path, one.headers["content-type"], one.headers["x-secret"]) == ("/inbound", "message/rfc822", "s")
    mail = email.message_from_bytes(one.body, policy=email.policy.default)
    assert mail["In-Reply-To"] == mail["References"] == "<draft-1@sandbox.everlytic>"
    assert mail["From"] == "Thandi <thandi@lead.example>"
    assert mail["To"] == "replies@sales.example"
    body = mail.get_body(("plain",))
    assert body is not None
    assert body.get_content().startswith("Yes please, Jürgen")
    assert mail["Auto-Submitted"] is None


async def test_out_of_office_says_so(sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver) -> None:
    """An automatic reply carries the header of RFC 3834 and is counted apart."""
    username, client = await subscribed(sandbox, http, receiver, event_types=("resubscribe",))
    sandbox.control.put(f"/__sandbox__/tenants/{username}/inbound", json={"url": receiver.url}).raise_for_status()
    sent = await client.send(a_mail())
    injected = {"username": username, "transaction_id": sent.transaction_id, "type": "reply"}
    sandbox.tell("events", **injected, data={"reply_kind": "out_of_office"})
    sandbox.wait_until(lambda: len(receiver.received) == 1)
    mail = email.message_from_bytes(receiver.received[0].body, policy=email.policy.default)
    assert mail["Auto-Submitted"] == "auto-replied"
    truth = sandbox.ask("truth", username=username)["sequence-1"]
    assert (truth["replied"], truth["auto_replied"]) == (0, 1)


async def test_one_click_unsubscribe_is_posted(sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver) -> None:
    """The List-Unsubscribe address gets the POST of RFC 8058, but only when the mail offers it."""
    username, client = await subscribed(sandbox, http, receiver, event_types=("resubscribe",))
    headers = {"List-Unsubscribe": f"<mailto:u@x.test>, <{receiver.url}/u/token>"}
    plain = await client.send(a_mail(custom_headers=headers))
    offered = await client.send(
        a_mail(custom_headers={**headers, "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"})
    )
    for sent in (plain, offered):
        sandbox.tell("events", username=username, transaction_id=sent.transaction_id, type="one_click")
    sandbox.settle()
    (one,) = receiver.received
    assert (one.verb, one.path, one.body) == ("POST", "/u/token", b"List-Unsubscribe=One-Click")


async def test_truth_ledger_and_deliveries_agree(sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver) -> None:
    """With everything delivered, each event of the ledger was told once, and the totals are those of the events."""
    username, client = await subscribed(sandbox, http, receiver)
    sandbox.control.put(
        f"/__sandbox__/tenants/{username}/inbound", json={"url": f"{receiver.url}/in"}
    ).raise_for_status()
    await asyncio.gather(*(client.send(a_mail(f"p{n}@y{n % 9}.example", message_id=f"m{n}")) for n in range(120)))
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

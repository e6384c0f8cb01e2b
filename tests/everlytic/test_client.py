"""Tests the client against a real sandbox process over HTTP."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pydantic import SecretStr

from everlytic import errors
from everlytic.errors import EverlyticError, Outcome
from everlytic.models import MESSAGE_HEADER, Address, ProviderEventType, WebhookRegistration
from everlytic.webhooks import parse_callback_event, parse_delivery
from tests.everlytic.mails import make_mail
from tests.receiver import Receiver, running_receiver
from tests.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def test_a_mail_is_sent_as_written(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """The sandbox captures the mail's fields under the returned transaction id."""
    username = sandbox.new_username()
    result = await sandbox.client(http, username).send(make_mail(custom_headers={"X-Thing": "v"}))
    (captured,) = sandbox.ask("mails", username=username)
    assert captured["transaction_id"] == result.transaction_id
    assert captured["message_id"] == "draft-1"
    assert captured["custom_headers"] == {"X-Thing": ["v"], MESSAGE_HEADER: ["draft-1"]}
    assert (captured["group"], captured["reply_to"]) == ("sequence-1", "replies@sales.example")


async def test_each_recipient_has_a_transaction_id(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """A send returns one transaction id per address in `to`, in order."""
    mail = make_mail(to=[Address(email="a@x.example"), Address(email="b@x.example")])
    username = sandbox.new_username()
    result = await sandbox.client(http, username).send(mail)
    captured = {mail["transaction_id"]: mail["recipient"] for mail in sandbox.ask("mails", username=username)}
    assert [captured[transaction_id] for transaction_id in result.transaction_ids] == ["a@x.example", "b@x.example"]


async def test_a_wrong_key_is_unauthorized(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """Both hosts refuse a wrong key with Unauthorized, which proves that nothing was sent."""
    username = sandbox.new_username()
    client = sandbox.client(http, username, "wrong")
    with pytest.raises(errors.Unauthorized) as caught:
        await client.send(make_mail())
    assert caught.value.outcome is Outcome.REJECTED
    assert caught.value.problems[0].location == "authorization"
    with pytest.raises(errors.Unauthorized):
        await client.get_transaction("x")
    assert sandbox.ask("mails", username=username) == []


async def test_registered_credentials_replace_the_default(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """After a key is registered through the control plane, only that key is accepted."""
    username = sandbox.new_username()
    await sandbox.client(http, username).send(make_mail())
    sandbox.tell("credentials", username=username, api_key="own")
    await sandbox.client(http, username, "own").send(make_mail())
    with pytest.raises(errors.Unauthorized):
        await sandbox.client(http, username).send(make_mail())


async def test_a_revoked_key_is_refused(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """After a key is revoked through the control plane, both hosts refuse it until a key is registered."""
    username = sandbox.new_username()
    client = sandbox.client(http, username)
    await client.send(make_mail())
    sandbox.tell("credentials", username=username, api_key=None)
    with pytest.raises(errors.Unauthorized):
        await client.send(make_mail())
    with pytest.raises(errors.Unauthorized):
        await client.get_transaction("x")
    sandbox.tell("credentials", username=username, api_key=f"sandbox-key-{username}")
    await client.send(make_mail())


@pytest.mark.parametrize("status", [402, 403, 429])
async def test_an_exceeded_quota_is_its_own_error(sandbox: Sandbox, http: httpx.AsyncClient, status: int) -> None:
    """A quota error with any status raises QuotaExceeded: nothing was sent, and the provider is at fault."""
    username = sandbox.new_username()
    sandbox.tell("scenarios", username=username, switches={"quota": 1, "quota_status": status})
    client = sandbox.client(http, username)
    await client.send(make_mail())
    with pytest.raises(errors.QuotaExceeded) as caught:
        await client.send(make_mail())
    assert (caught.value.outcome, caught.value.fault) == (Outcome.REJECTED, errors.Fault.PROVIDER)


async def test_a_refused_mail_names_the_field(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """The error has the provider's validation problems, and the outcome is rejected."""
    with pytest.raises(errors.InvalidRequest) as caught:
        await sandbox.client(http, sandbox.new_username()).send(make_mail("no-dot@localhost"))
    assert [problem.location for problem in caught.value.problems] == ["headers.to.0.email"]
    assert caught.value.outcome is Outcome.REJECTED


async def test_a_refused_connection_proves_that_nothing_was_sent(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """A refused connection raises Unreachable with the outcome rejected."""
    with running_receiver() as stopped:
        url = stopped.url
    closed = Sandbox(url, sandbox.control, sandbox.process)
    with pytest.raises(errors.Unreachable) as caught:
        await closed.client(http, "ann").send(make_mail())
    assert caught.value.outcome is Outcome.REJECTED


async def test_webhooks_are_created_updated_and_deleted(
    sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver
) -> None:
    """A webhook is created, updated, listed and deleted; a second deletion returns False."""
    client = sandbox.client(http, sandbox.new_username())
    registration = WebhookRegistration(url=f"{receiver.url}/h", username="u", password=SecretStr("hunter2"))
    created = await client.create_webhook(registration)
    assert (created.url, created.status) == (registration.url, "enabled")
    assert set(created.event_types) == set(ProviderEventType)
    updated = await client.update_webhook(created.id, registration.model_copy(update={"field_set": "legacy"}))
    listed = await client.list_webhooks()
    assert [(webhook.id, webhook.field_set) for webhook in listed] == [(created.id, "legacy")]
    assert "hunter2" not in repr(listed) + repr(updated) + repr(registration)
    assert await client.delete_webhook(created.id)
    assert not await client.delete_webhook(created.id)
    with pytest.raises(errors.NotFound):
        await client.update_webhook(created.id, registration)


async def test_webhook_pages_are_followed(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """Webhooks on several pages are all listed."""
    username = sandbox.new_username()
    sandbox.tell("scenarios", username=username, switches={"webhooks_per_page": 2})
    client = sandbox.client(http, username)
    ids = [(await client.create_webhook(WebhookRegistration(url=f"http://127.0.0.1:9/{n}"))).id for n in range(5)]
    assert [webhook.id for webhook in await client.list_webhooks()] == ids


async def test_transactions_are_paged_filtered_and_found(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """Transactions are read from all pages newest first, filtered by group, and found by header and by id."""
    client = sandbox.client(http, sandbox.new_username())
    await asyncio.gather(
        *(client.send(make_mail(f"p{n}@x.example", message_id=f"m{n}", group_name=f"g{n % 2}")) for n in range(7))
    )
    listed = [transaction async for transaction in client.iter_transactions(page_size=2)]
    assert sorted(str(transaction.message_id) for transaction in listed) == [f"m{n}" for n in range(7)]
    moments = [transaction.sent_at for transaction in listed if transaction.sent_at is not None]
    assert moments == sorted(moments, reverse=True)
    assert len(moments) == 7
    in_group = {transaction.message_id async for transaction in client.iter_transactions(group_name="g1")}
    assert in_group == {"m1", "m3", "m5"}
    transaction = await client.find_transaction_by_custom_header(MESSAGE_HEADER, "m4")
    assert transaction is not None
    assert transaction.recipient == "p4@x.example"
    assert await client.get_transaction(transaction.id) == transaction
    assert await client.find_transaction_by_custom_header(MESSAGE_HEADER, "m99") is None
    with pytest.raises(errors.NotFound):
        await client.get_transaction("5f0000000000000000000001")


async def test_transactions_within_a_time_window(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """`since` is inclusive and `until` exclusive; a time window after the last mail is empty."""
    username = sandbox.new_username()
    client = sandbox.client(http, username)
    moments = []
    for n in range(4):
        sandbox.advance(100)
        await client.send(make_mail(f"p{n}@x.example", message_id=f"m{n}"))
        (moment,) = [mail["accepted_at"] for mail in sandbox.ask("ledger", username=username)[n:]]
        moments.append(datetime.fromtimestamp(int(moment), UTC))
    window = client.iter_transactions(since=moments[1], until=moments[3], page_size=1)
    assert [transaction.message_id async for transaction in window] == ["m2", "m1"]
    later = client.iter_transactions(since=moments[3] + timedelta(days=1), page_size=1)
    assert [transaction async for transaction in later] == []


async def test_an_ignored_filter_gives_no_wrong_match(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """When the provider ignores both filter forms, the search still finds only the mail with the header."""
    page = {"links": [], "collection": [{"data": {"id": n, "custom_headers": {"X": [f"v{n}"]}}} for n in range(3)]}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=page))
    async with httpx.AsyncClient(transport=transport) as unfiltered:
        client = sandbox.client(unfiltered, "ann")
        transaction = await client.find_transaction_by_custom_header("x", "v2")
        assert transaction is not None
        assert transaction.id == "2"
        assert await client.find_transaction_by_custom_header("X", "v9") is None


async def test_a_circular_next_link_is_an_error(sandbox: Sandbox) -> None:
    """A next link to a page already read raises an error, and no request goes to another origin."""
    hosts = set()

    def circle(request: httpx.Request) -> httpx.Response:
        hosts.add(request.url.host)
        links = [{"rel": "next", "href": "http://evil.test/api/2.0/emails?page=2"}]
        return httpx.Response(200, json={"links": links, "collection": []})

    async with httpx.AsyncClient(transport=httpx.MockTransport(circle)) as http:
        with pytest.raises(errors.UnrecognisedResponse, match="already read"):
            [email async for email in sandbox.client(http, "ann").iter_bulk_emails()]
    assert hosts == {"127.0.0.1"}


@pytest.mark.parametrize("shape", ["flat", "wrapped"])
async def test_pushed_and_polled_events_have_the_same_keys(
    sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver, shape: str
) -> None:
    """The events from webhooks and from the list of callback events have the same set of keys."""
    username = sandbox.new_username()
    switches = {"callback_event_shape": shape, "legacy_trans_id": "hex", "callback_ids_shared": False}
    sandbox.tell("scenarios", username=username, switches=switches)
    client = sandbox.client(http, username)
    await client.create_webhook(WebhookRegistration(url=receiver.url))
    await asyncio.gather(*(client.send(make_mail(f"p{n}@x{n % 5}.example", message_id=f"m{n}")) for n in range(60)))
    sandbox.advance(80 * 3600)
    sandbox.settle()
    now = datetime.now(UTC)
    pushed = {
        event.key
        for request in receiver.received
        for event in parse_delivery(request.body, request.headers["content-type"], now)
    }
    polled = [parse_callback_event(event) async for event in client.iter_callback_events(page_size=50)]
    assert {event.key for event in polled} == pushed
    assert len(polled) == len(pushed) == len(receiver.received)
    opens = [event async for event in client.iter_callback_events(event_type=ProviderEventType.OPEN)]
    assert len(opens) == sum(event.type == "open" for event in polled) > 0


async def test_a_bulk_email_and_its_report(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """A bulk email goes from composing to sent, and the figures of its report add up."""
    username = sandbox.new_username()
    client = sandbox.client(http, username)
    basic = httpx.BasicAuth(username, f"sandbox-key-{username}")
    mail = {"subject": "News", "from_email": "news@sales.example", "campaign_name": "May"}
    created = (await http.post(f"{sandbox.url}/api/2.0/emails", json=mail, auth=basic)).json()["item"]
    (listed,) = [email async for email in client.iter_bulk_emails()]
    assert (listed.id, listed.status, listed.sent_at) == (str(created["id"]), "composing", None)
    assert (await client.get_campaign_report(listed.id)).sent == 0
    await http.post(f"{sandbox.url}/api/2.0/email_actions/send/{listed.id}", auth=basic)
    sandbox.advance(80 * 3600)
    report = await client.get_campaign_report(listed.id)
    assert report.sent == 200
    assert report.complaints is None
    assert report.delivered is not None
    assert report.unique_opens is not None
    assert report.opens is not None
    assert 150 < report.delivered < 200
    assert 20 < report.unique_opens <= report.opens
    assert [email.status async for email in client.iter_bulk_emails()] == ["sent"]
    bounces = (report.hard_bounces or 0) + (report.soft_bounces or 0)
    assert report.delivered + bounces == report.sent
    with pytest.raises(errors.NotFound):
        await client.get_campaign_report("999")


@pytest.mark.parametrize(
    ("scenario", "kind", "accepted"),
    [
        ("rate_limited", errors.RateLimited, False),
        ("server_error", errors.ServerError, False),
        ("server_error_after_accept", errors.ServerError, True),
        ("unavailable", errors.Unavailable, False),
        ("html_error", errors.ServerError, False),
        ("firewall", errors.Unavailable, False),
        ("bad_request_but_delivered", errors.UnrecognisedResponse, True),
        ("timeout_after_accept", errors.TimedOut, True),
        ("reset_before_accept", errors.ConnectionLost, False),
        ("reset_after_accept", errors.ConnectionLost, True),
        ("truncated_json", errors.UnrecognisedResponse, True),
    ],
)
async def test_each_fault_raises_its_error(
    sandbox: Sandbox, scenario: str, kind: type[EverlyticError], accepted: bool
) -> None:
    """Each fault raises its error; when the mail was accepted, the outcome is not rejected."""
    username = sandbox.new_username()
    sandbox.tell("scenarios", username=username, scenarios=[{"name": scenario, "probability": 1}])
    read_timeout = 0.3 if scenario == "timeout_after_accept" else 20
    async with httpx.AsyncClient(timeout=httpx.Timeout(20, read=read_timeout)) as http:
        with pytest.raises(EverlyticError) as caught:
            await sandbox.client(http, username).send(make_mail())
    assert type(caught.value) is kind
    assert len(sandbox.ask("mails", username=username)) == accepted
    assert not (accepted and caught.value.outcome is Outcome.REJECTED)
    assert sandbox.ask("state")["tenants"][username]["faults"] == {scenario: 1}


@pytest.mark.parametrize(("how", "expected"), [("always", 2.0), ("never", None)])
async def test_the_error_has_the_retry_after_seconds(
    sandbox: Sandbox, http: httpx.AsyncClient, how: str, expected: float | None
) -> None:
    """The error of a 429 has the seconds of Retry-After, or None without one."""
    username = sandbox.new_username()
    limited = [{"name": "rate_limited", "probability": 1, "routes": ["send", "read"]}]
    sandbox.tell("scenarios", username=username, scenarios=limited, switches={"retry_after": how})
    client = sandbox.client(http, username)
    for call in (client.send(make_mail()), client.get_transaction("x")):
        with pytest.raises(errors.RateLimited) as caught:
            await call
        assert caught.value.retry_after == expected


async def test_an_unknown_outcome_can_be_looked_up(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """After a connection reset the mail is found by our header if it was accepted, and not found otherwise."""
    username = sandbox.new_username()
    client = sandbox.client(http, username)
    for scenario, was_accepted in (("reset_after_accept", True), ("reset_before_accept", False)):
        sandbox.tell("scenarios", username=username, scenarios=[{"name": scenario, "probability": 1}])
        with pytest.raises(errors.OutcomeUnknown):
            await client.send(make_mail(message_id=scenario))
        transaction = await client.find_transaction_by_custom_header(MESSAGE_HEADER, scenario)
        assert (transaction is not None) == was_accepted


async def test_no_error_shows_the_key(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """An error contains the key neither in plain text nor encoded."""
    key = "very-secret-key"
    encoded = base64.b64encode(f"ann:{key}".encode()).decode()
    with pytest.raises(EverlyticError) as caught:
        await sandbox.client(http, "ann", key).send(make_mail())
    shown = repr(caught.value) + json.dumps(str(caught.value.__dict__)) + repr(sandbox.client(http, "ann", key))
    assert key not in shown
    assert encoded not in shown

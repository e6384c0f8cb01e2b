"""The client against a real sandbox process over HTTP."""

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
from everlytic.webhooks import from_callback_event, parse_delivery
from tests.everlytic.mails import a_mail
from tests.receiver import Receiver, running_receiver
from tests.sandbox import Sandbox

pytestmark = pytest.mark.anyio


async def test_a_mail_goes_out_as_written(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """What the sandbox captured is what the mail said, under the id that was answered."""
    username = sandbox.new_username()
    result = await sandbox.client(http, username).send(a_mail(custom_headers={"X-Thing": "v"}))
    (captured,) = sandbox.ask("mails", username=username)
    assert captured["transaction_id"] == result.transaction_id
    assert captured["message_id"] == "draft-1"
    assert captured["custom_headers"] == {"X-Thing": ["v"], MESSAGE_HEADER: ["draft-1"]}
    assert (captured["group"], captured["reply_to"]) == ("sequence-1", "replies@sales.example")


async def test_several_recipients_have_an_id_each(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """One transaction id per address in `to`, in order."""
    mail = a_mail(to=[Address(email="a@x.example"), Address(email="b@x.example")])
    username = sandbox.new_username()
    result = await sandbox.client(http, username).send(mail)
    captured = {one["transaction_id"]: one["recipient"] for one in sandbox.ask("mails", username=username)}
    assert [captured[one] for one in result.transaction_ids] == ["a@x.example", "b@x.example"]


async def test_wrong_credentials(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """Both hosts refuse a wrong key as Unauthorized, which proves that nothing was sent."""
    username = sandbox.new_username()
    client = sandbox.client(http, username, "wrong")
    with pytest.raises(errors.Unauthorized) as caught:
        await client.send(a_mail())
    assert caught.value.outcome is Outcome.REJECTED
    assert caught.value.problems[0].location == "authorization"
    with pytest.raises(errors.Unauthorized):
        await client.get_transaction("x")
    assert sandbox.ask("mails", username=username) == []


async def test_registered_credentials_replace_the_default(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """A key registered through the control plane is the only good one from then on."""
    username = sandbox.new_username()
    await sandbox.client(http, username).send(a_mail())
    sandbox.tell("credentials", username=username, api_key="own")
    await sandbox.client(http, username, "own").send(a_mail())
    with pytest.raises(errors.Unauthorized):
        await sandbox.client(http, username).send(a_mail())


async def test_a_revoked_key_is_no_good_from_then_on(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """Revoked through the control plane, a key that worked is refused by both hosts, until one is registered."""
    username = sandbox.new_username()
    client = sandbox.client(http, username)
    await client.send(a_mail())
    sandbox.tell("credentials", username=username, api_key=None)
    with pytest.raises(errors.Unauthorized):
        await client.send(a_mail())
    with pytest.raises(errors.Unauthorized):
        await client.get_transaction("x")
    sandbox.tell("credentials", username=username, api_key=f"sandbox-key-{username}")
    await client.send(a_mail())


@pytest.mark.parametrize("status", [402, 403, 429])
async def test_a_used_up_quota_is_told_from_a_refused_key(
    sandbox: Sandbox, http: httpx.AsyncClient, status: int
) -> None:
    """Whatever status it comes with, it says that nothing was sent and that time helps."""
    username = sandbox.new_username()
    sandbox.tell("scenarios", username=username, switches={"quota": 1, "quota_status": status})
    client = sandbox.client(http, username)
    await client.send(a_mail())
    with pytest.raises(errors.QuotaUsedUp) as caught:
        await client.send(a_mail())
    assert (caught.value.outcome, caught.value.fault) == (Outcome.REJECTED, errors.Fault.PROVIDER)


async def test_a_refused_mail_names_the_field(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """The provider's validation reasons come through, and the outcome is rejected."""
    with pytest.raises(errors.InvalidRequest) as caught:
        await sandbox.client(http, sandbox.new_username()).send(a_mail("no-dot@localhost"))
    assert [one.location for one in caught.value.problems] == ["headers.to.0.email"]
    assert caught.value.outcome is Outcome.REJECTED


async def test_nothing_listening_is_not_sent(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """A refused connection proves that nothing left."""
    with running_receiver() as gone:
        url = gone.url
    closed = Sandbox(url, sandbox.control, sandbox.process)
    with pytest.raises(errors.Unreachable) as caught:
        await closed.client(http, "ann").send(a_mail())
    assert caught.value.outcome is Outcome.REJECTED


async def test_webhooks_are_registered_changed_and_deleted(
    sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver
) -> None:
    """The whole life of a registration; a second deletion says that there was nothing."""
    client = sandbox.client(http, sandbox.new_username())
    wanted = WebhookRegistration(url=f"{receiver.url}/h", username="u", password=SecretStr("hunter2"))
    made = await client.create_webhook(wanted)
    assert (made.url, made.status) == (wanted.url, "enabled")
    assert set(made.event_types) == set(ProviderEventType)
    changed = await client.update_webhook(made.id, wanted.model_copy(update={"field_set": "legacy"}))
    listed = await client.list_webhooks()
    assert [(one.id, one.field_set) for one in listed] == [(made.id, "legacy")]
    assert "hunter2" not in repr(listed) + repr(changed) + repr(wanted)
    assert await client.delete_webhook(made.id)
    assert not await client.delete_webhook(made.id)
    with pytest.raises(errors.NotFound):
        await client.update_webhook(made.id, wanted)


async def test_webhook_pages_are_followed(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """More webhooks than fit a page are all listed."""
    username = sandbox.new_username()
    sandbox.tell("scenarios", username=username, switches={"webhooks_per_page": 2})
    client = sandbox.client(http, username)
    made = [(await client.create_webhook(WebhookRegistration(url=f"http://127.0.0.1:9/{n}"))).id for n in range(5)]
    assert [one.id for one in await client.list_webhooks()] == made


async def test_transactions_are_paged_filtered_and_found(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """Read-back walks all pages newest first, keeps to the group, and finds a mail by our header and by its id."""
    client = sandbox.client(http, sandbox.new_username())
    await asyncio.gather(
        *(client.send(a_mail(f"p{n}@x.example", message_id=f"m{n}", group_name=f"g{n % 2}")) for n in range(7))
    )
    listed = [one async for one in client.iter_transactions(page_size=2)]
    assert sorted(str(one.message_id) for one in listed) == [f"m{n}" for n in range(7)]
    moments = [one.sent_at for one in listed if one.sent_at is not None]
    assert moments == sorted(moments, reverse=True)
    assert len(moments) == 7
    assert {one.message_id async for one in client.iter_transactions(group_name="g1")} == {"m1", "m3", "m5"}
    found = await client.find_transaction_by_custom_header(MESSAGE_HEADER, "m4")
    assert found is not None
    assert found.recipient == "p4@x.example"
    assert await client.get_transaction(found.id) == found
    assert await client.find_transaction_by_custom_header(MESSAGE_HEADER, "m99") is None
    with pytest.raises(errors.NotFound):
        await client.get_transaction("5f0000000000000000000001")


async def test_a_window_of_time(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """`since` is inclusive, `until` exclusive, newest first; a window after the last mail is empty."""
    username = sandbox.new_username()
    client = sandbox.client(http, username)
    moments = []
    for n in range(4):
        sandbox.advance(100)
        await client.send(a_mail(f"p{n}@x.example", message_id=f"m{n}"))
        (moment,) = [one["accepted_at"] for one in sandbox.ask("ledger", username=username)[n:]]
        moments.append(datetime.fromtimestamp(int(moment), UTC))
    window = client.iter_transactions(since=moments[1], until=moments[3], page_size=1)
    assert [one.message_id async for one in window] == ["m2", "m1"]
    late = client.iter_transactions(since=moments[3] + timedelta(days=1), page_size=1)
    assert [one async for one in late] == []


async def test_a_filter_that_is_ignored_gives_no_wrong_match(http: httpx.AsyncClient, sandbox: Sandbox) -> None:
    """With neither filter spelling understood the search still finds only the mail that carries the header."""
    page = {"links": [], "collection": [{"data": {"id": n, "custom_headers": {"X": [f"v{n}"]}}} for n in range(3)]}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=page))
    async with httpx.AsyncClient(transport=transport) as deaf:
        client = sandbox.client(deaf, "ann")
        found = await client.find_transaction_by_custom_header("x", "v2")
        assert found is not None
        assert found.id == "2"
        assert await client.find_transaction_by_custom_header("X", "v9") is None


async def test_a_next_link_in_a_circle_ends(sandbox: Sandbox) -> None:
    """A provider whose next link leads back is an error, not an endless loop; and no other origin gets the key."""
    hosts = set()

    def circle(request: httpx.Request) -> httpx.Response:
        hosts.add(request.url.host)
        links = [{"rel": "next", "href": "http://evil.test/api/2.0/emails?page=2"}]
        return httpx.Response(200, json={"links": links, "collection": []})

    async with httpx.AsyncClient(transport=httpx.MockTransport(circle)) as http:
        with pytest.raises(errors.UnrecognisedAnswer, match="already read"):
            [one async for one in sandbox.client(http, "ann").iter_bulk_emails()]
    assert hosts == {"127.0.0.1"}


@pytest.mark.parametrize("shape", ["flat", "wrapped"])
async def test_pushed_events_equal_polled_ones(
    sandbox: Sandbox, http: httpx.AsyncClient, receiver: Receiver, shape: str
) -> None:
    """What webhooks brought and what the list of callback events says are the same set of keys."""
    username = sandbox.new_username()
    switches = {"callback_event_shape": shape, "legacy_trans_id": "hex", "callback_ids_shared": False}
    sandbox.tell("scenarios", username=username, switches=switches)
    client = sandbox.client(http, username)
    await client.create_webhook(WebhookRegistration(url=receiver.url))
    await asyncio.gather(*(client.send(a_mail(f"p{n}@x{n % 5}.example", message_id=f"m{n}")) for n in range(60)))
    sandbox.advance(80 * 3600)
    sandbox.settle()
    now = datetime.now(UTC)
    pushed = {e.key for one in receiver.received for e in parse_delivery(one.body, one.headers["content-type"], now)}
    polled = [from_callback_event(one) async for one in client.iter_callback_events(page_size=50)]
    assert {one.key for one in polled} == pushed
    assert len(polled) == len(pushed) == len(receiver.received)
    opens = [one async for one in client.iter_callback_events(event_type=ProviderEventType.OPEN)]
    assert len(opens) == sum(one.type == "open" for one in polled) > 0


async def test_a_bulk_email_and_its_report(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """A bulk email goes from composing to sent, and its report grows with time to figures that add up."""
    username = sandbox.new_username()
    client = sandbox.client(http, username)
    basic = httpx.BasicAuth(username, f"sandbox-key-{username}")
    mail = {"subject": "News", "from_email": "news@sales.example", "campaign_name": "May"}
    made = (await http.post(f"{sandbox.url}/api/2.0/emails", json=mail, auth=basic)).json()["item"]
    (listed,) = [one async for one in client.iter_bulk_emails()]
    assert (listed.id, listed.status, listed.sent_at) == (str(made["id"]), "composing", None)
    assert (await client.campaign_report(listed.id)).sent == 0
    await http.post(f"{sandbox.url}/api/2.0/email_actions/send/{listed.id}", auth=basic)
    sandbox.advance(80 * 3600)
    report = await client.campaign_report(listed.id)
    assert report.sent == 200
    assert report.complaints is None
    assert report.delivered is not None
    assert report.unique_opens is not None
    assert report.opens is not None
    assert 150 < report.delivered < 200
    assert 20 < report.unique_opens <= report.opens
    assert [one.status async for one in client.iter_bulk_emails()] == ["sent"]
    bounces = (report.hard_bounces or 0) + (report.soft_bounces or 0)
    assert report.delivered + bounces == report.sent
    with pytest.raises(errors.NotFound):
        await client.campaign_report("999")


@pytest.mark.parametrize(
    ("scenario", "kind", "accepted"),
    [
        ("rate_limited", errors.RateLimited, False),
        ("server_error", errors.ProviderBroken, False),
        ("server_error_after_accept", errors.ProviderBroken, True),
        ("unavailable", errors.Unavailable, False),
        ("html_error", errors.ProviderBroken, False),
        ("firewall", errors.Unavailable, False),
        ("bad_request_but_delivered", errors.UnrecognisedAnswer, True),
        ("timeout_after_accept", errors.TimedOut, True),
        ("reset_before_accept", errors.ConnectionLost, False),
        ("reset_after_accept", errors.ConnectionLost, True),
        ("truncated_json", errors.UnrecognisedAnswer, True),
    ],
)
async def test_faults(sandbox: Sandbox, scenario: str, kind: type[EverlyticError], accepted: bool) -> None:
    """Each fault is its error; whenever the mail went out all the same, the outcome is not called rejected."""
    username = sandbox.new_username()
    sandbox.tell("scenarios", username=username, scenarios=[{"name": scenario, "probability": 1}])
    patience = 0.3 if scenario == "timeout_after_accept" else 20
    async with httpx.AsyncClient(timeout=httpx.Timeout(20, read=patience)) as http:
        with pytest.raises(EverlyticError) as caught:
            await sandbox.client(http, username).send(a_mail())
    assert type(caught.value) is kind
    assert len(sandbox.ask("mails", username=username)) == accepted
    assert not (accepted and caught.value.outcome is Outcome.REJECTED)
    assert sandbox.ask("state")["tenants"][username]["faults"] == {scenario: 1}


@pytest.mark.parametrize(("how", "expected"), [("always", 2.0), ("never", None)])
async def test_retry_after_is_told(sandbox: Sandbox, http: httpx.AsyncClient, how: str, expected: float | None) -> None:
    """A 429 with Retry-After brings its seconds, one without brings None."""
    username = sandbox.new_username()
    limited = [{"name": "rate_limited", "probability": 1, "routes": ["send", "read"]}]
    sandbox.tell("scenarios", username=username, scenarios=limited, switches={"retry_after": how})
    client = sandbox.client(http, username)
    for call in (client.send(a_mail()), client.get_transaction("x")):
        with pytest.raises(errors.RateLimited) as caught:
            await call
        assert caught.value.retry_after == expected


async def test_an_unknown_outcome_can_be_looked_up(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """After a reset the mail is found by our header if it went out, and is not found if it did not."""
    username = sandbox.new_username()
    client = sandbox.client(http, username)
    for scenario, there in (("reset_after_accept", True), ("reset_before_accept", False)):
        sandbox.tell("scenarios", username=username, scenarios=[{"name": scenario, "probability": 1}])
        with pytest.raises(errors.OutcomeUnknown):
            await client.send(a_mail(message_id=scenario))
        found = await client.find_transaction_by_custom_header(MESSAGE_HEADER, scenario)
        assert (found is not None) == there


async def test_no_error_shows_the_key(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    """Neither plain nor encoded does the key appear in what an error says."""
    key = "very-secret-key"
    encoded = base64.b64encode(f"ann:{key}".encode()).decode()
    with pytest.raises(EverlyticError) as caught:
        await sandbox.client(http, "ann", key).send(a_mail())
    shown = repr(caught.value) + json.dumps(str(caught.value.__dict__)) + repr(sandbox.client(http, "ann", key))
    assert key not in shown
    assert encoded not in shown

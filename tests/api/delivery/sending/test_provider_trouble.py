"""What a provider in trouble does to the mails of one workspace, and what it does not do to those of another."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from api.http.resources import Services
from api.settings import ApiSettings
from domain.breaker import FAILURE_THRESHOLD, PROBE_LEASE, QUOTA_BACKOFF
from tests.api.running import RunJobs
from tests.api.sending_workspace import Outreach
from tests.sandbox import Sandbox

pytestmark = pytest.mark.anyio

MAILS, AT_ONCE = 9, 2
RETRY_AFTER = 600


@pytest.fixture
def api_settings(api_settings: ApiSettings) -> ApiSettings:
    """Settings of a worker that sends fewer mails at once than there are."""
    return api_settings.model_copy(update={"send_concurrency": AT_ONCE})


@pytest.fixture
async def trouble(outreach: Outreach, services: Services) -> Outreach:
    """Have so many reviewed mails wait for a worker, on a clock that all but stands still until it is set on."""
    sequence_id = await outreach.add_sequence("One", auto_approve=False)
    leads = [await outreach.add_lead(f"lead{number}@lead.example") for number in range(MAILS)]
    await outreach.enroll(sequence_id, *leads)
    await outreach.post("/drafts/approve", {"sequenceId": sequence_id})
    clock = services.clock
    clock.real_start, clock.virtual_start, clock.speed = time.time(), clock.now(), 0.02
    return outreach


async def later(outreach: Outreach, services: Services, wait: timedelta = timedelta(0)) -> None:
    """Let business time pass, and everything that is due by then happen."""
    services.clock.virtual_start += wait
    await outreach.run_jobs()


async def connection(outreach: Outreach) -> dict[str, Any]:
    """Return the workspace's connection as people see it."""
    return await outreach.get("/everlytic-connection")


async def jobs(outreach: Outreach) -> list[dict[str, Any]]:
    """Return the jobs that were to send the mails."""
    found: list[dict[str, Any]] = (await outreach.get("/jobs", type="send_email"))["items"]
    return found


async def statuses(outreach: Outreach) -> dict[str, int]:
    """Count the drafts by status."""
    shown = [draft["status"] for draft in (await outreach.get("/drafts"))["items"]]
    return {status: shown.count(status) for status in shown}


def calls(outreach: Outreach) -> int:
    """Return how many sends the sandbox has failed for this workspace."""
    faults: dict[str, int] = outreach.sandbox.ask("state")["tenants"][outreach.username]["faults"]
    return sum(faults.values())


async def put_connection(outreach: Outreach, **changes: str) -> None:
    """Put the connection again, as it was but for the changes."""
    body = {
        "transactionalUrl": f"{outreach.sandbox.url}/transactional/email/v1",
        "tenantUrl": f"{outreach.sandbox.url}/api/2.0",
        "username": outreach.username,
        "apiKey": f"sandbox-key-{outreach.username}",
    }
    response = await outreach.client.put(f"{outreach.path}/everlytic-connection", json=body | changes)
    assert response.status_code == 200, response.text


async def until_served(outreach: Outreach, services: Services) -> None:
    """Have the workspace's mails sent, each block waited for; fails if that takes more than a few."""
    for _ in range(5):
        shown = await connection(outreach)
        until = shown["blockedUntil"]
        wait = datetime.fromisoformat(until) - services.clock.now() if until else timedelta(minutes=1)
        await later(outreach, services, max(wait, timedelta(0)) + timedelta(seconds=1))
        if await statuses(outreach) == {"sent": MAILS}:
            return
    raise AssertionError(await jobs(outreach))


async def all_sent_once(outreach: Outreach) -> bool:
    """Whether each lead has had exactly one mail, and nothing stands against the connection any more."""
    shown = await connection(outreach)
    recipients = [mail["recipient"] for mail in outreach.mails()]
    return (
        len(recipients) == len(set(recipients)) == MAILS
        and await statuses(outreach) == {"sent": MAILS}
        and (shown["blockedUntil"], shown["blockedReason"], shown["disabledAt"]) == (None, None, None)
    )


@pytest.mark.parametrize("fault", ["rate_limited", "unavailable"])
async def test_the_connection_waits_as_long_as_the_provider_asks(
    trouble: Outreach, services: Services, fault: str
) -> None:
    """Not a moment before is it called again, no attempt is used up, and then every mail goes out once."""
    switches = {"retry_after": "always", "retry_after_seconds": RETRY_AFTER}
    trouble.sandbox.tell("scenarios", username=trouble.username, switches=switches)
    trouble.fault(fault)
    left, started = [job["maxAttempts"] - job["attempts"] for job in await jobs(trouble)], services.clock.now()
    await trouble.run_jobs()
    met, ended = calls(trouble), services.clock.now()
    assert 0 < met <= AT_ONCE
    until = datetime.fromisoformat((await connection(trouble))["blockedUntil"])
    assert started <= until - timedelta(seconds=RETRY_AFTER) <= ended

    await later(trouble, services, timedelta(seconds=RETRY_AFTER - 5))

    shown = await connection(trouble)
    assert datetime.fromisoformat(shown["blockedUntil"]) == until
    assert [job["maxAttempts"] - job["attempts"] for job in await jobs(trouble)] == left
    assert calls(trouble) == met
    assert await statuses(trouble) == {"reviewed": MAILS}
    assert str(429 if fault == "rate_limited" else 503) in shown["blockedReason"]
    assert {job["status"] for job in await jobs(trouble)} == {"pending"}
    trouble.fault(fault, 0)
    await until_served(trouble, services)
    assert await all_sent_once(trouble)


async def test_mails_never_use_up_their_attempts(trouble: Outreach, services: Services) -> None:
    """Turned away far more often than a job has attempts, nothing fails, and one call at a time tries again."""
    trouble.sandbox.tell("scenarios", username=trouble.username, switches={"retry_after": "never"})
    trouble.fault("rate_limited")
    await trouble.run_jobs()
    for _ in range(8):
        met = calls(trouble)
        await later(trouble, services, timedelta(minutes=6))
        assert calls(trouble) == met + 1
    assert {job["status"] for job in await jobs(trouble)} == {"pending"}
    assert await statuses(trouble) == {"reviewed": MAILS}

    trouble.fault("rate_limited", 0)
    await until_served(trouble, services)
    assert await all_sent_once(trouble)


@pytest.mark.parametrize("status", [402, 403, 429])
async def test_a_used_up_quota_waits_visibly(trouble: Outreach, services: Services, status: int) -> None:
    """Half the mails go out, the rest wait with the quota as the reason, asked hourly, until there is quota again."""
    half = MAILS // 2
    trouble.sandbox.tell("scenarios", username=trouble.username, switches={"quota": half, "quota_status": status})
    await trouble.run_jobs()

    shown = await connection(trouble)
    assert await statuses(trouble) == {"sent": half, "reviewed": MAILS - half}
    assert "quota" in shown["blockedReason"]
    assert shown["disabledAt"] is None
    wait = datetime.fromisoformat(shown["blockedUntil"]) - services.clock.now()
    assert QUOTA_BACKOFF - timedelta(seconds=1) < wait <= QUOTA_BACKOFF
    trouble.sandbox.tell("scenarios", username=trouble.username, switches={"quota": 0})
    await later(trouble, services, QUOTA_BACKOFF - timedelta(seconds=2))
    assert len(trouble.mails()) == half
    await until_served(trouble, services)
    assert await all_sent_once(trouble)


async def test_a_revoked_key_stops_its_workspace_until_another_is_put(trouble: Outreach, services: Services) -> None:
    """The connection says why it is disabled, drafts stay as they were, and a new key takes everything up again."""
    trouble.sandbox.tell("credentials", username=trouble.username, api_key=None)
    await trouble.run_jobs()

    shown = await connection(trouble)
    assert shown["disabledReason"].startswith("Everlytic refused the credentials (401)")
    assert await statuses(trouble) == {"reviewed": MAILS}
    assert trouble.mails() == []
    enrollment = (await trouble.get("/enrollments"))["items"][0]
    assert "refused the credentials" in (await trouble.get(f"/enrollments/{enrollment['id']}/explain"))["heldBy"]

    trouble.sandbox.tell("credentials", username=trouble.username, api_key="another")
    await put_connection(trouble, apiKey="another")
    await later(trouble, services, timedelta(seconds=1))
    assert await all_sent_once(trouble)


async def test_one_workspaces_trouble_is_its_own(
    trouble: Outreach, services: Services, app_client: httpx.AsyncClient, sandbox: Sandbox, run_jobs: RunJobs
) -> None:
    """While one workspace's key is revoked, another sends through the same worker."""
    trouble.sandbox.tell("credentials", username=trouble.username, api_key=None)
    answer = await app_client.get(trouble.path)
    settings = {name: value for name, value in answer.json().items() if name not in {"id", "createdAt", "updatedAt"}}
    made = await app_client.post("/api/workspaces", json=settings)
    assert made.status_code == 201, made.text
    username = sandbox.new_username()
    other = Outreach(app_client, f"/api/workspaces/{made.json()['id']}", sandbox, username, run_jobs, "", "")
    await put_connection(other)
    await other.enroll(await other.add_sequence("One"), await other.add_lead("thandi@lead.example"))

    assert len(other.mails()) == 1
    assert trouble.mails() == []
    assert (await connection(trouble))["disabledAt"] is not None
    assert (await connection(other))["disabledAt"] is None


async def test_a_refused_registration_disables_the_connection(outreach: Outreach) -> None:
    """A key that is no good is known before the first mail: by the registration of the webhook."""
    await put_connection(outreach, apiKey="wrong")
    await outreach.run_jobs()
    assert "refused the credentials" in (await connection(outreach))["disabledReason"]

    await put_connection(outreach)
    await outreach.run_jobs()
    shown = await connection(outreach)
    assert (shown["disabledAt"], shown["disabledReason"]) == (None, None)
    assert shown["webhookId"]


async def test_a_registration_outlasts_an_outage(outreach: Outreach, services: Services) -> None:
    """However often the provider is away, the webhook is registered once it is back."""
    scenario = {"name": "html_error", "probability": 1, "routes": ["webhooks"]}
    outreach.sandbox.tell("scenarios", username=outreach.username, scenarios=[scenario])
    await put_connection(outreach)
    for _ in range(12):
        await later(outreach, services, timedelta(minutes=2))
    assert (await connection(outreach))["webhookId"] is None

    outreach.fault("html_error", 0)
    await later(outreach, services, timedelta(minutes=2))
    assert (await connection(outreach))["webhookId"]


async def test_a_registration_waits_real_time(outreach: Outreach, services: Services) -> None:
    """The provider's Retry-After is real time: where business time is fast, the job waits longer in business time."""
    clock = services.clock
    clock.real_start, clock.virtual_start, clock.speed = time.time(), clock.now(), 60.0
    scenario = {"name": "rate_limited", "probability": 1, "routes": ["webhooks"]}
    switches = {"retry_after": "always", "retry_after_seconds": RETRY_AFTER}
    outreach.sandbox.tell("scenarios", username=outreach.username, scenarios=[scenario], switches=switches)
    started = clock.now()
    await put_connection(outreach)
    await outreach.run_jobs()
    [job] = (await outreach.get("/jobs", type="register_webhook", status="pending"))["items"]
    assert started <= datetime.fromisoformat(job["runAt"]) - timedelta(seconds=RETRY_AFTER * 60) <= clock.now()


@contextmanager
def closed_port() -> Iterator[str]:
    """Yield the origin of a port that is reserved and has no listener."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{kept.getsockname()[1]}"


@pytest.mark.parametrize("host", ["http://no-such-host.internal", "closed", "https"])
async def test_what_cannot_be_reached_was_not_sent(trouble: Outreach, services: Services, host: str) -> None:
    """No name, no listener, no TLS: nothing is unknown, the connection says so, and all goes out once it is back."""
    with closed_port() as closed:
        origin = {"closed": closed, "https": trouble.sandbox.url.replace("http:", "https:")}.get(host, host)
        await put_connection(trouble, transactionalUrl=f"{origin}/transactional/email/v1")
        await later(trouble, services, timedelta(seconds=1))
        assert await statuses(trouble) == {"reviewed": MAILS}
        shown = await connection(trouble)
        assert "could not be reached" in shown["blockedReason"]
        assert {job["status"] for job in await jobs(trouble) if job["lastError"]} == {"pending"}
        assert (await trouble.get("/jobs", type="reconcile_send"))["items"] == []

    await put_connection(trouble)
    await until_served(trouble, services)
    assert await all_sent_once(trouble)


@pytest.mark.parametrize("fault", ["html_error", "server_error", "reset_before_accept", "truncated_json"])
async def test_few_mails_are_put_at_risk(trouble: Outreach, services: Services, fault: str, database_url: str) -> None:
    """After a few unknown outcomes nothing is called; then one mail at a time tries, until the provider serves."""
    trouble.fault(fault)
    await trouble.run_jobs()
    risked = calls(trouble)
    assert FAILURE_THRESHOLD <= risked < FAILURE_THRESHOLD + AT_ONCE
    assert (await connection(trouble))["blockedUntil"]
    assert called(database_url) == risked

    await later(trouble, services, timedelta(seconds=1))
    assert calls(trouble) == risked
    await later(trouble, services, timedelta(minutes=6))
    assert calls(trouble) == risked + 1
    trouble.fault(fault, 0)
    await later(trouble, services, timedelta(minutes=6))
    await later(trouble, services, timedelta(seconds=1))
    assert (called(database_url), calls(trouble)) == (MAILS, risked + 1)
    assert (await connection(trouble))["blockedUntil"] is None


def called(database_url: str) -> int:
    """Count the sends whose claim stands: their outcome is unknown, or known from elsewhere by now."""
    with psycopg.connect(database_url) as session:
        row = session.execute("SELECT count(*) FROM app.send_attempts").fetchone()
    assert row is not None
    return int(row[0])


async def test_a_firewall_is_no_revoked_key(trouble: Outreach, services: Services) -> None:
    """A 403 page of a server in front disables nothing: the mails wait and go out when it lets them through."""
    trouble.fault("firewall")
    await trouble.run_jobs()
    shown = await connection(trouble)
    assert (shown["disabledAt"], "403" in shown["blockedReason"]) == (None, True)
    assert await statuses(trouble) == {"reviewed": MAILS}

    trouble.fault("firewall", 0)
    await until_served(trouble, services)
    assert await all_sent_once(trouble)


async def test_refused_content_does_not_block(trouble: Outreach, services: Services) -> None:
    """Errors about one mail's content do not count as an outage, however many: the connection stays open."""
    trouble.fault("bad_request_but_delivered")
    await trouble.run_jobs()
    assert len(trouble.mails()) == MAILS
    assert (await connection(trouble))["blockedUntil"] is None


async def test_a_probe_that_serves_wakes_the_others(trouble: Outreach, services: Services) -> None:
    """Mails that wait for the probe do not wait out its lease, which is as long as a call may take."""
    trouble.fault("rate_limited")
    await trouble.run_jobs()
    trouble.fault("rate_limited", 0)
    until = datetime.fromisoformat((await connection(trouble))["blockedUntil"])
    started = services.clock.now()
    await later(trouble, services, until - started)
    await later(trouble, services, timedelta(seconds=1))

    assert services.clock.now() - until < PROBE_LEASE / 2
    assert await all_sent_once(trouble)


async def test_a_new_connection_is_not_blocked(trouble: Outreach, services: Services) -> None:
    """A connection that is set again is not blocked by the failures of the old one."""
    switches = {"retry_after": "always", "retry_after_seconds": RETRY_AFTER}
    trouble.sandbox.tell("scenarios", username=trouble.username, switches=switches)
    trouble.fault("rate_limited")
    await trouble.run_jobs()
    assert trouble.mails() == []
    trouble.fault("rate_limited", 0)

    await put_connection(trouble)
    await later(trouble, services, timedelta(seconds=1))
    assert await all_sent_once(trouble)

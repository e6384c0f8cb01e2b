"""The connection to Everlytic in each state: calls that end, probes, other credentials, and its end."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from unittest.mock import ANY
from uuid import UUID, uuid4

import httpx
import pytest

from api.accounts.workspaces import repository, service
from api.accounts.workspaces.service import CallEnded
from api.delivery.sending import service as sending
from api.delivery.sending.eligibility import Deferred
from api.delivery.sending.service import Claim, SendRequest
from database.models import EverlyticConnection
from domain.breaker import ResultKind
from tests.api.states import EARLIER, LATER, NOW, Row, States, added, differing, moment
from tests.breaker_model import Call, Model
from tests.tables import ABSENT, Changes

pytestmark = pytest.mark.anyio

HOLD = NOW + timedelta(minutes=2)
WAKE_AFTER = timedelta(milliseconds=250)
STATES: dict[str, Row] = {
    "serves": {},
    "has failed": {"failures": 4},
    "is blocked": {"failures": 5, "blocked_until": LATER, "blocked_reason": "before"},
    "may be probed": {"failures": 6, "blocked_until": EARLIER, "blocked_reason": "before"},
    "is being probed": {"failures": 6, "blocked_until": HOLD, "blocked_reason": "before"},
    "is disabled": {"disabled_at": EARLIER, "disabled_reason": "before"},
}
BODY = {
    "transactionalUrl": "http://127.0.0.1:9/transactional/email/v1",
    "tenantUrl": "http://127.0.0.1:9/api/2.0",
    "username": "acme",
    "apiKey": "secret",
}


def put(states: States, connection_id: str, name: str) -> Row:
    """Put a connection into a state, and return its row as it is seen then."""
    usual: Row = {"failures": 0, "blocked_until": None, "blocked_reason": None}
    usual |= {"disabled_at": None, "disabled_reason": None, "encrypted_key": "the key", "webhook_id": "7"}
    states.put("everlytic_connections", connection_id, **{**usual, **STATES[name]})
    states.look()
    return states.seen["app.everlytic_connections"][connection_id]


def take_jobs(changed: Changes) -> list[tuple[str, Row, str]]:
    """Take the jobs that were put on the queue out of what has changed: their types, payloads and times."""
    jobs = added(changed, "scheduled_jobs")
    changed.pop("app.scheduled_jobs", None)
    return [(job["job_type"], job["payload"], job["run_at"]) for job in jobs]


def ends() -> Iterator[tuple[ResultKind, float | None]]:
    """Yield each way in which a call ends, with and without a wait that the provider names."""
    for kind in ResultKind:
        yield kind, None
        if kind in {ResultKind.RATE_LIMITED, ResultKind.QUOTA_EXCEEDED}:
            yield kind, 60.0
            yield kind, 864_000.0


@pytest.mark.parametrize("is_late", [False, True], ids=["in time", "late"])
async def test_each_end_of_a_call_in_each_state(states: States, *, is_late: bool) -> None:
    """What is stored after each end of a call is what the model says, with the reason, whatever the state before.

    A block that ends before its time wakes what waits for it.
    """
    connection_id = states.add_connection()
    for name in STATES:
        for kind, retry_after in ends():
            before = put(states, connection_id, name)
            blocked = datetime.fromisoformat(before["blocked_until"]) if before["blocked_until"] else None
            seen = NOW - timedelta(days=1) if is_late else blocked
            model = Model(before["failures"], blocked)
            after = model.end(Call(seen, is_probe=False), kind, retry_after, NOW)
            call = EverlyticConnection(encrypted_key="the key", blocked_until=seen)
            ended = CallEnded(call, kind, NOW, "because", retry_after)
            async with states.session() as session:
                (again_at,) = await service.record_call_results(session, UUID(states.workspace_id), [ended])
            changed, what = states.changed(), (name, kind, retry_after)
            reason = "because" if after.block != blocked else before["blocked_reason"]
            expected = differing(
                before,
                failures=after.failures,
                blocked_until=moment(after.block) if after.block else None,
                blocked_reason=reason if after.block else None,
            )
            jobs = take_jobs(changed)
            assert changed == ({"app.everlytic_connections": {connection_id: expected}} if expected else {}), what
            wakes_at = max(after.block or NOW, NOW)
            is_early = after != model and blocked is not None and wakes_at < blocked
            wake = ("wake_sends", {"waitingFor": moment(blocked or NOW)}, moment(wakes_at + WAKE_AFTER))
            assert jobs == ([wake] if is_early else []), what
            assert again_at >= NOW
            assert after.block is None or again_at == max(after.block, NOW), what


async def test_calls_of_another_connection_say_nothing(states: States) -> None:
    """Calls that were made with other credentials neither open nor close anything, however they end."""
    connection_id = states.add_connection()
    for name in STATES:
        before = put(states, connection_id, name)
        seen = datetime.fromisoformat(before["blocked_until"]) if before["blocked_until"] else None
        call = EverlyticConnection(encrypted_key="another key", blocked_until=seen)
        async with states.session() as session:
            ended = [CallEnded(call, kind, NOW, "because", wait) for kind, wait in ends()]
            await service.record_call_results(session, UUID(states.workspace_id), ended)
        assert states.changed() == {}, name


async def test_a_served_probe_ends_the_block_and_a_failed_one_does_not(states: States) -> None:
    """Through claims and ends of calls: one mail probes, the others wait for it, and its end decides for all."""
    connection_id = states.add_connection()
    sequence_id, (step_id,) = states.add_sequence()

    async def claim(now: datetime) -> list[object]:
        leads = [states.add_lead(f"{uuid4()}@lead.example") for _ in range(3)]
        drafts = [states.add_draft(states.add_enrollment(lead_id, sequence_id), step_id) for lead_id in leads]
        requests = [SendRequest(UUID(draft_id), now, uuid4()) for draft_id in drafts]
        async with states.session() as session:
            return list(await sending.claim_drafts(session, UUID(states.workspace_id), requests))

    async def end(claimed: object, kind: ResultKind, now: datetime) -> None:
        assert isinstance(claimed, Claim)
        async with states.session() as session:
            ended = CallEnded(claimed.connection, kind, now, "because")
            await service.record_call_results(session, UUID(states.workspace_id), [ended])

    def block() -> tuple[int, datetime | None]:
        row = states.row("everlytic_connections", connection_id)
        return row["failures"], row["blocked_until"]

    put(states, connection_id, "is blocked")
    assert await claim(NOW) == [Deferred(LATER, "deferred by provider")] * 3
    assert await claim(LATER - timedelta(microseconds=1)) == [Deferred(LATER, "deferred by provider")] * 3
    hold = LATER + timedelta(minutes=2)
    probe, *others = await claim(LATER)
    assert isinstance(probe, Claim)
    assert others == [Deferred(hold, "before")] * 2
    assert block() == (5, hold)
    assert await claim(hold - timedelta(microseconds=1)) == [Deferred(hold, "deferred by provider")] * 3

    # The probe is lost: when its hold is over, another mail tries, and the first one's news is late.
    second, *_ = await claim(hold)
    await end(probe, ResultKind.SERVED, hold)
    assert block() == (5, hold + timedelta(minutes=2))
    await end(second, ResultKind.FAILED, hold)
    until = hold + timedelta(seconds=10)
    assert block() == (6, until)
    assert await claim(hold) == [Deferred(until, "deferred by provider")] * 3

    third, *_ = await claim(until)
    await end(third, ResultKind.NOT_MADE, until)
    assert block() == (6, until)
    fourth, *_ = await claim(until)
    await end(fourth, ResultKind.SERVED, until)
    assert block() == (0, None)
    assert [type(answer) for answer in await claim(until)] == [Claim] * 3


async def test_a_probe_is_given_once(states: States) -> None:
    """Of two who read the same block one holds the probe; the other reads the block as it is now."""
    connection_id = states.add_connection()
    for name in STATES:
        before = put(states, connection_id, name)
        async with states.session() as session:
            first, second = [await service.find_connection(session, UUID(states.workspace_id)) for _ in range(2)]
            session.expunge(first)
            assert await service.lock_for_probe(session, second, HOLD + timedelta(seconds=1)) is True
        changed = {"blocked_until": (before["blocked_until"], moment(HOLD + timedelta(seconds=1))), "updated_at": ANY}
        assert states.changed() == {"app.everlytic_connections": {connection_id: changed}}
        async with states.session() as session:
            session.add(first)
            assert await service.lock_for_probe(session, first, HOLD + timedelta(seconds=2)) is False
            assert first.blocked_until == HOLD + timedelta(seconds=1)
        assert states.changed() == {}


async def test_a_claim_that_comes_second_to_a_probe_lets_nothing_through(states: States) -> None:
    """A claim that read the block before another took the probe is told to wait for it, with all its mails."""
    connection_id = states.add_connection()
    sequence_id, (step_id,) = states.add_sequence()
    leads = [states.add_lead(f"{uuid4()}@lead.example") for _ in range(2)]
    drafts = [states.add_draft(states.add_enrollment(lead_id, sequence_id), step_id) for lead_id in leads]
    put(states, connection_id, "may be probed")
    async with states.session() as session:
        read_before = await service.find_connection(session, UUID(states.workspace_id))
        states.put("everlytic_connections", connection_id, blocked_until=HOLD)
        states.look()
        requests = [SendRequest(UUID(draft_id), NOW, uuid4()) for draft_id in drafts]
        answers = await sending.claim_drafts(session, UUID(states.workspace_id), requests)
        assert read_before.blocked_until == HOLD
    assert answers == [Deferred(HOLD, "before")] * 2
    assert states.changed() == {}


async def test_refused_credentials_disable_the_connection_they_belong_to(states: States) -> None:
    """The first refusal disables and says why; one of other credentials, or a second one, changes nothing."""
    connection_id = states.add_connection()
    for name in STATES:
        put(states, connection_id, name)
        for key in ("another key", "the key", "the key"):
            is_first = key == "the key" and states.row("everlytic_connections", connection_id)["disabled_at"] is None
            async with states.session() as session:
                refusal = (EverlyticConnection(encrypted_key=key), "bad key")
                await service.record_refused_credentials(session, UUID(states.workspace_id), [refusal])
            disabled = {"disabled_at": (None, ANY), "disabled_reason": (None, "bad key"), "updated_at": ANY}
            expected = {"app.everlytic_connections": {connection_id: disabled}} if is_first else {}
            assert states.changed() == expected, (name, key)


async def test_a_connection_that_is_put_again_starts_anew(app_client: httpx.AsyncClient, states: States) -> None:
    """From every state: no failures, no block, not disabled; what waited is taken up, early where a block was open.

    Calls that the connection before let through end without changing it.
    """
    path = f"/api/workspaces/{states.workspace_id}/everlytic-connection"
    connection_id = states.add_connection()
    for name in STATES:
        before = put(states, connection_id, name)
        async with states.session() as session:
            old = await service.find_connection(session, UUID(states.workspace_id))
        etag = (await app_client.get(path)).headers["ETag"]

        response = await app_client.put(path, json=BODY, headers={"If-Match": etag})

        assert response.status_code == 200, response.text
        row = states.row("everlytic_connections", connection_id)
        assert [row[field] for field in ("failures", "blocked_until", "blocked_reason")] == [0, None, None]
        assert [row[field] for field in ("disabled_at", "disabled_reason", "webhook_id")] == [None, None, None]
        changed = states.changed()
        jobs = take_jobs(changed)
        assert list(changed) == ["app.everlytic_connections"]
        blocked = before["blocked_until"]
        is_open = blocked is not None and blocked > moment(NOW)
        wake = ("wake_sends", {"waitingFor": blocked}, moment(NOW + WAKE_AFTER))
        usual: list[tuple[str, Row, str]] = [("register_webhook", ANY, moment(NOW)), ("resume_sends", {}, moment(NOW))]
        assert sorted(jobs, key=lambda job: job[0]) == [*usual, *([wake] if is_open else [])]
        async with states.session() as session:
            ended = [CallEnded(old, kind, NOW, "because") for kind in ResultKind]
            await service.record_call_results(session, UUID(states.workspace_id), ended)
            refusals = [(old, "bad key")]
            await service.record_refused_credentials(session, UUID(states.workspace_id), refusals)
        assert states.changed() == {}, name


async def test_a_connection_ends_once(app_client: httpx.AsyncClient, states: States) -> None:
    """A removed connection is disabled, names the user and keeps its block; a second removal changes nothing."""
    me = (await app_client.get("/api/me")).json()["user"]["id"]
    path = f"/api/workspaces/{states.workspace_id}/everlytic-connection"
    assert (await app_client.delete(path)).status_code == 404
    connection_id = states.add_connection()
    for name in STATES:
        before = put(states, connection_id, name)
        etag = (await app_client.get(path)).headers["ETag"]
        assert (await app_client.delete(path, headers={"If-Match": etag})).status_code == 204
        reason = f"disconnected by {me}"
        ended = {"disabled_at": (None, ANY), "disabled_reason": (None, reason), "updated_at": ANY}
        is_over = before["disabled_at"] is not None
        assert states.changed() == ({} if is_over else {"app.everlytic_connections": {connection_id: ended}}), name


async def test_only_sends_that_wait_for_the_block_are_woken(states: States) -> None:
    """Of all jobs those to send that wait for just that moment go on; others keep their time and their status."""

    def add(status: str = "pending", job_type: str = "send_email", run_at: datetime = LATER) -> str:
        return states.add("scheduled_jobs", job_type=job_type, scheduled_for=EARLIER, status=status, run_at=run_at)

    waits = add()
    for status in ("running", "completed", "failed", "cancelled"):
        add(status)
    add(job_type="generate_draft")
    for step in (timedelta(microseconds=1), -timedelta(microseconds=1)):
        add(run_at=LATER + step)
    states.look()
    async with states.session() as session:
        await repository.wake_sends(session, UUID(states.workspace_id), LATER, NOW)
    assert states.changed() == {"app.scheduled_jobs": {waits: {"run_at": (moment(LATER), moment(NOW))}}}


async def test_a_deleted_workspace_ends_its_connection_and_its_mailbox(
    app_client: httpx.AsyncClient, states: States
) -> None:
    """Whatever the connection's state, with the workspace it is disabled, webhooks find it no more, nothing is sent."""
    me = (await app_client.get("/api/me")).json()["user"]["id"]
    connection_id = states.add_connection()
    put(states, connection_id, "is disabled")
    mailbox: Row = {"host": "imap.acme.example", "port": 993, "security": "tls", "username": "ann"}
    mailbox_id = states.add("mailboxes", encrypted_password="x", read_since=NOW.date(), **mailbox)
    states.look()
    path = f"/api/workspaces/{states.workspace_id}"
    etag = (await app_client.get(path)).headers["ETag"]
    assert (await app_client.delete(path, headers={"If-Match": etag})).status_code == 204
    changed = states.changed()
    connection = changed.pop("app.everlytic_connections")[connection_id]
    assert connection["disabled_reason"] == ("before", f"the workspace was deleted by {me}")
    assert connection["webhook_token_hash"][1] == f"retired {connection_id}"
    assert "disabled_at" not in connection, "it was disabled before"
    assert changed.pop("app.mailboxes")[mailbox_id]["id"] == (mailbox_id, ABSENT)
    assert list(changed) == ["app.workspaces"]

"""Where a team works, and how it reaches Everlytic."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.workspaces import repository
from api.accounts.workspaces.schemas import ramp_problem
from api.http.errors import Malformed, NotFound, WorkspaceGone
from database import jobs
from database.models import EverlyticConnection, Workspace
from database.secrets import SecretBox, generate_token, hash_credential
from database.tenancy import Scope, enter_scope
from domain import breaker

REGISTER_WEBHOOK = "register_webhook"
RESUME_SENDS = "resume_sends"
"""The job that takes up what a pause or a missing connection left waiting."""
WAKE_SENDS = "wake_sends"
"""The job that takes up what waited for a block which ended before its time."""
WAKE_AFTER = timedelta(milliseconds=250)
WEBHOOK_USER = "everlytic"


async def find_workspace(session: AsyncSession, workspace_id: UUID) -> Workspace:
    """Return a workspace that is visible in the transaction's scope; raises WorkspaceGone."""
    return _there(await repository.find_workspace(session, workspace_id))


async def lock_workspace(session: AsyncSession, workspace_id: UUID) -> Workspace:
    """Return a workspace that nobody else changes or deletes until the transaction ends; raises WorkspaceGone."""
    return _there(await repository.lock_workspace(session, workspace_id))


async def lock_to_send(session: AsyncSession, workspace_id: UUID) -> Workspace:
    """Return a workspace that stays as it is until the transaction ends, deletion included; raises WorkspaceGone.

    Those who send for it do so side by side, and one after the other where its pace is limited.
    """
    unlimited = await repository.lock_unlimited_workspace(session, workspace_id)
    return unlimited or await lock_workspace(session, workspace_id)


def _there(workspace: Workspace | None) -> Workspace:
    if workspace is None:
        raise WorkspaceGone("There is no such workspace.")
    return workspace


_RAMP = ("daily_cap", "ramp_start", "ramp_from", "ramp_step")
SCHEDULING = frozenset(
    {
        *_RAMP,
        "domain_gap_seconds",
        "holidays_country",
        "sending_weekdays",
        "sends_per_minute",
        "timezone",
        "window_end",
        "window_start",
    }
)
"""The settings that say when mail may leave."""


async def change_workspace(
    session: AsyncSession, workspace: Workspace, values: dict[str, Any], now: datetime
) -> Workspace:
    """Change the settings of a held workspace.

    Raises Malformed when its sending window would close before it opens, its segments would not follow each other, or
    its ramp-up would not be whole.
    """
    if not values:
        return workspace
    opens = values.get("window_start", workspace.window_start)
    closes = values.get("window_end", workspace.window_end)
    if opens >= closes:
        problem = {"location": ["body", "windowStart"], "message": f"must be before windowEnd, {closes:%H:%M}"}
        raise Malformed("windowStart must be before windowEnd.", errors=[problem])
    ramp = {name: values.get(name, getattr(workspace, name)) for name in _RAMP}
    if (message := ramp_problem(*ramp.values())) is not None:
        raise Malformed(
            "Set rampStart, rampFrom and rampStep together.",
            errors=[{"location": ["body", "rampStart"], "message": message}],
        )
    enterprise = values.get("enterprise_from", workspace.enterprise_from)
    if values.get("mid_market_from", workspace.mid_market_from) >= enterprise:
        problem = {"location": ["body", "midMarketFrom"], "message": f"must be less than enterpriseFrom, {enterprise}"}
        raise Malformed("midMarketFrom must be less than enterpriseFrom.", errors=[problem])
    changed = await repository.change_workspace(session, workspace.id, values)
    if values.keys() & SCHEDULING:
        await repository.requeue_sends(session, workspace.id, now)
    return changed


async def delete_workspace(session: AsyncSession, workspace: Workspace, *, by: UUID, now: datetime) -> None:
    """Delete a held workspace: nobody finds it any more, nothing more is sent for it and nothing comes in.

    What is sending right now holds the workspace too, so it has either been claimed before this, or finds it gone.
    """
    await repository.delete_workspace(session, workspace.id)
    await repository.retire_connection(session, workspace.id, f"the workspace was deleted by {by}")
    await repository.delete_mailbox(session, workspace.id)
    await repository.cancel_jobs(session, workspace.id, now, "The workspace was deleted.")


@dataclass(frozen=True, slots=True)
class NewConnection:
    """A connection just made; the token is shown this once."""

    connection: EverlyticConnection
    webhook_token: str


async def connect_everlytic(
    session: AsyncSession,
    workspace_id: UUID,
    secrets: SecretBox,
    *,
    transactional_url: str,
    tenant_url: str,
    username: str,
    api_key: str,
    now: datetime,
) -> NewConnection:
    """Store how the workspace reaches Everlytic, with a fresh webhook token, and have the webhook registered."""
    token = generate_token()
    values = {
        "transactional_url": transactional_url,
        "tenant_url": tenant_url,
        "username": username,
        "encrypted_key": secrets.encrypt(api_key),
        "webhook_token_hash": hash_credential(token),
        "encrypted_webhook_password": secrets.encrypt(generate_token()),
        "webhook_id": None,
        "disabled_at": None,
        "disabled_reason": None,
        "failures": 0,
        "blocked_until": None,
        "blocked_reason": None,
    }
    previous = await repository.lock_connection(session, workspace_id)
    blocked_until = previous.blocked_until if previous else None
    connection = await repository.put_connection(session, workspace_id, values)
    await jobs.enqueue(
        session, REGISTER_WEBHOOK, workspace_id, [jobs.Job(now, {"token": secrets.encrypt(token)})], max_attempts=10
    )
    # What waited for a connection is asked again.
    await jobs.enqueue(session, RESUME_SENDS, workspace_id, [jobs.Job(now)])
    await _wake_sends_early(session, workspace_id, blocked_until, None, now)
    return NewConnection(connection, token)


async def find_connection(session: AsyncSession, workspace_id: UUID) -> EverlyticConnection:
    """Return the workspace's connection; raises NotFound when there is none."""
    connection = await repository.find_connection(session, workspace_id)
    if connection is None:
        raise NotFound("This workspace has no Everlytic connection yet.")
    return connection


async def lock_connection(session: AsyncSession, workspace_id: UUID) -> EverlyticConnection | None:
    """Return the workspace's connection, if any, which nobody else makes or changes until the transaction ends."""
    await lock_workspace(session, workspace_id)
    return await repository.find_connection(session, workspace_id)


async def disconnect_everlytic(session: AsyncSession, workspace_id: UUID, reason: str) -> None:
    """Stop sending through and syncing from the workspace's connection."""
    await find_connection(session, workspace_id)
    await repository.disable_connection(session, workspace_id, reason)


async def authenticate_webhook_token(session: AsyncSession, token_hash: str) -> EverlyticConnection:
    """Return the connection a webhook token belongs to and enter its workspace's scope; raises NotFound."""
    connection = await repository.find_connection_by_token(session, token_hash)
    if connection is None:
        raise NotFound("There is no such webhook.")
    await enter_scope(session, Scope(workspace_id=connection.workspace_id))
    return connection


@dataclass(frozen=True, slots=True)
class CallEnded:
    """How a call through a connection ended; `connection` is as it was when the call was let through."""

    connection: EverlyticConnection
    kind: breaker.ResultKind
    now: datetime
    reason: str | None = None
    """Why nothing is to be sent for a while, should that follow."""
    retry_after: float | None = None
    """How many seconds the provider asks to wait; None where it did not say."""


async def lock_for_probe(session: AsyncSession, connection: EverlyticConnection, until: datetime) -> bool:
    """Let all others wait until then for the one call that tries whether the provider serves again.

    Returns False when somebody else's call does, or the block was changed; the connection is read again.
    """
    return await repository.lock_for_probe(session, connection, until)


async def record_call_results(session: AsyncSession, workspace_id: UUID, calls: Sequence[CallEnded]) -> list[datetime]:
    """Draw the conclusions for what is called next; returns for each when its mail may be tried again."""
    connection = await repository.lock_connection(session, workspace_id)
    if connection is None:
        return [call.now for call in calls]
    before = state = breaker.BreakerState(connection.failures, connection.blocked_until)
    reason = connection.blocked_reason
    for call in calls:
        if call.connection.encrypted_key != connection.encrypted_key:
            continue  # It was another connection that served or did not.
        news = breaker.CallResult(call.kind, call.connection.blocked_until, call.retry_after)
        state, previous = breaker.apply_result(state, news, call.now), state
        if state.blocked_until is None:
            reason = None
        elif state != previous and call.reason is not None:
            reason = call.reason
    if state != before:
        await repository.block_connection(session, workspace_id, state.failures, state.blocked_until, reason)
        now = max(call.now for call in calls)
        await _wake_sends_early(session, workspace_id, before.blocked_until, state.blocked_until, now)
    return [max(state.blocked_until or call.now + breaker.compute_backoff(state.failures), call.now) for call in calls]


async def _wake_sends_early(
    session: AsyncSession, workspace_id: UUID, was: datetime | None, until: datetime | None, now: datetime
) -> None:
    """Have what waits for the end of a block taken up when that comes earlier than it was told."""
    at = max(until or now, now)
    if was is not None and at < was:
        # A little later: some may still be on their way back to the queue.
        job = jobs.Job(at + WAKE_AFTER, {"waitingFor": was.isoformat()})
        await jobs.enqueue(session, WAKE_SENDS, workspace_id, [job])


async def record_refused_credentials(
    session: AsyncSession, workspace_id: UUID, refusals: Sequence[tuple[EverlyticConnection, str]]
) -> list[None]:
    """Stop using a connection whose credentials are no good, and say so, until somebody gives others."""
    for key, reason in {connection.encrypted_key: reason for connection, reason in refusals}.items():
        await repository.refuse_connection(session, workspace_id, key, reason)
    return [None] * len(refusals)

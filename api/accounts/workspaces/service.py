"""Workspaces, their settings and their connections to Everlytic."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts.workspaces import repository
from api.accounts.workspaces.schemas import ramp_problem
from api.http.errors import Malformed, NotFound, WorkspaceGone, or_404
from database import jobs
from database.models import EverlyticConnection, Workspace
from database.secrets import SecretBox, generate_token, hash_credential
from database.tenancy import Scope, enter_scope
from domain import breaker, sender_identity
from domain.job_types import REGISTER_WEBHOOK, RESUME_SENDS, WAKE_SENDS
from domain.sender_identity import Identity

WAKE_AFTER = timedelta(milliseconds=250)
WEBHOOK_USER = "everlytic"


async def find_workspace(session: AsyncSession, workspace_id: UUID) -> Workspace:
    """Return a workspace that is visible in the transaction's scope; raises WorkspaceGone."""
    return _require_workspace(await repository.find_workspace(session, workspace_id))


async def lock_workspace(session: AsyncSession, workspace_id: UUID) -> Workspace:
    """Return a workspace, locked until the transaction ends; raises WorkspaceGone."""
    return _require_workspace(await repository.lock_workspace(session, workspace_id))


async def lock_to_send(session: AsyncSession, workspace_id: UUID) -> Workspace:
    """Return a workspace that is not changed or deleted until the transaction ends; raises WorkspaceGone.

    The lock is shared if the workspace has no send limits, and exclusive if it has.
    """
    unlimited = await repository.lock_unlimited_workspace(session, workspace_id)
    return unlimited or await lock_workspace(session, workspace_id)


def _require_workspace(workspace: Workspace | None) -> Workspace:
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
"""The settings that decide when a mail may be sent."""
IDENTITY = frozenset({"default_from_email", "default_from_name", "postal_address"})
"""The settings without which no mail is sent to people."""


async def change_workspace(
    session: AsyncSession, workspace: Workspace, values: dict[str, Any], now: datetime
) -> Workspace:
    """Change the settings of a locked workspace.

    Raises Malformed if the sending window would end before it starts, the segments would overlap, or the ramp-up would
    be incomplete.
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
    if values.keys() & (SCHEDULING | IDENTITY):
        await repository.requeue_sends(session, workspace.id, now)
    return changed


async def delete_workspace(session: AsyncSession, workspace: Workspace, *, by: UUID, now: datetime) -> None:
    """Delete a locked workspace: it is not found any more, and nothing is sent or received for it.

    A claim locks the workspace as well: it either commits before the deletion, or does not find the workspace.
    """
    await repository.delete_workspace(session, workspace.id)
    await repository.retire_connection(session, workspace.id, f"the workspace was deleted by {by}")
    await repository.delete_mailbox(session, workspace.id)
    await repository.cancel_jobs(session, workspace.id, now, "The workspace was deleted.")


@dataclass(frozen=True, slots=True)
class NewConnection:
    """A new connection; the token is shown only once."""

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
    """Store the connection with a new webhook token, and enqueue the job that registers the webhook."""
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
    # Mails that waited for a connection are checked again.
    await jobs.enqueue(session, RESUME_SENDS, workspace_id, [jobs.Job(now)])
    await _wake_sends_early(session, workspace_id, blocked_until, None, now)
    return NewConnection(connection, token)


async def find_connection(session: AsyncSession, workspace_id: UUID) -> EverlyticConnection:
    """Return the connection of the workspace; raises NotFound."""
    connection = await repository.find_connection(session, workspace_id)
    return or_404(connection, "This workspace has no Everlytic connection yet.")


def list_identity_problems(
    workspace: Workspace, connection: EverlyticConnection | None, public_url: str
) -> tuple[str, ...]:
    """Return why the workspace may not mail people through a connection, a sentence each."""
    if connection is None:
        return ()
    identity = Identity(
        provider_url=connection.transactional_url,
        public_url=public_url,
        from_name=workspace.default_from_name,
        from_email=workspace.default_from_email,
        postal_address=workspace.postal_address,
    )
    return tuple(sender_identity.list_identity_problems(identity))


async def lock_connection(session: AsyncSession, workspace_id: UUID) -> EverlyticConnection | None:
    """Return the connection of the workspace, if any, locked until the transaction ends, also against creation."""
    await lock_workspace(session, workspace_id)
    return await repository.find_connection(session, workspace_id)


async def disconnect_everlytic(session: AsyncSession, workspace_id: UUID, reason: str) -> None:
    """Stop sending and syncing through the connection of the workspace."""
    await find_connection(session, workspace_id)
    await repository.disable_connection(session, workspace_id, reason)


async def authenticate_webhook_token(session: AsyncSession, token_hash: str) -> EverlyticConnection:
    """Return the connection of a webhook token, and enter the scope of its workspace; raises NotFound."""
    connection = await repository.find_connection_by_token(session, token_hash)
    if connection is None:
        raise NotFound("There is no such webhook.")
    await enter_scope(session, Scope(workspace_id=connection.workspace_id))
    return connection


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The result of a call through a connection; `connection` is as it was when the call began."""

    connection: EverlyticConnection
    kind: breaker.ResultKind
    now: datetime
    reason: str | None = None
    """Why sending is blocked, if this result blocks it."""
    retry_after: float | None = None
    """The seconds to wait that the provider asked for; None if it did not."""


async def lock_for_probe(session: AsyncSession, connection: EverlyticConnection, until: datetime) -> bool:
    """Extend the block until then, so that only the caller probes whether the provider works again.

    Returns False if another caller probes or the block was changed; the connection is then read again.
    """
    return await repository.lock_for_probe(session, connection, until)


async def record_call_results(session: AsyncSession, workspace_id: UUID, calls: Sequence[CallEnded]) -> list[datetime]:
    """Update the circuit breaker of the connection; returns for each call when its mail may be tried again."""
    connection = await repository.lock_connection(session, workspace_id)
    if connection is None:
        return [call.now for call in calls]
    before = state = breaker.BreakerState(connection.failures, connection.blocked_until)
    reason = connection.blocked_reason
    for call in calls:
        if call.connection.encrypted_key != connection.encrypted_key:
            continue  # The result is of a connection that was replaced since.
        result = breaker.CallResult(call.kind, call.connection.blocked_until, call.retry_after)
        state, previous = breaker.apply_result(state, result, call.now), state
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
    """Enqueue the job that reschedules waiting mails if the block ends earlier than they were rescheduled to."""
    at = max(until or now, now)
    if was is not None and at < was:
        # A little later, because some mails may not be back on the queue yet.
        job = jobs.Job(at + WAKE_AFTER, {"waitingFor": was.isoformat()})
        await jobs.enqueue(session, WAKE_SENDS, workspace_id, [job])


async def record_refused_credentials(
    session: AsyncSession, workspace_id: UUID, refusals: Sequence[tuple[EverlyticConnection, str]]
) -> list[None]:
    """Disable connections whose credentials were refused, with the reason, until a user replaces them."""
    for key, reason in {connection.encrypted_key: reason for connection, reason in refusals}.items():
        await repository.refuse_connection(session, workspace_id, key, reason)
    return [None] * len(refusals)

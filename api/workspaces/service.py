"""Who may come in, where they work, and how a workspace reaches Everlytic."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from api.errors import AlreadyExists, Malformed, NotFound, Unauthorized
from api.pagination import PageRequest
from api.workspaces import repository
from database import jobs
from database.models import Account, ApiKey, EverlyticConnection, User, UserRole, Workspace
from database.secrets import SecretBox, credential_hash, new_token
from database.tenancy import Scope, enter

KEY_PREFIX = "sm_"
REGISTER_WEBHOOK = "register_webhook"
RESUME_SENDS = "resume_sends"
"""The job that takes up what a pause or a missing connection left waiting."""
WEBHOOK_USER = "everlytic"
SHOWN_OF_KEY = 10
"""How much of a key is kept readable, so that people can tell keys apart."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an API key stands for."""

    account_id: UUID
    user_id: UUID
    role: UserRole


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account just made; `api_key` is shown this once."""

    account_id: UUID
    user_id: UUID
    api_key: str


async def authenticate(session: AsyncSession, secret_hash: str) -> Identity:
    """Return who the key with this hash stands for, and enter their account's scope; raises Unauthorized."""
    key = await repository.find_key(session, secret_hash)
    if key is None:
        raise Unauthorized("This API key is unknown or revoked.")
    await enter(session, Scope(account_id=key.account_id))
    user = await repository.find_user(session, key.user_id)
    if user is None:
        raise Unauthorized("The user of this API key is gone.")
    await repository.mark_key_used(session, key)
    return Identity(key.account_id, key.user_id, UserRole(user.role))


async def find_workspace(session: AsyncSession, workspace_id: UUID) -> Workspace:
    """Return a workspace that is visible in the transaction's scope; raises NotFound."""
    workspace = await repository.find_workspace(session, workspace_id)
    if workspace is None:
        raise NotFound("There is no such workspace.")
    return workspace


async def enter_workspace(session: AsyncSession, account_id: UUID, workspace_id: UUID) -> Workspace:
    """Return a workspace of the account and enter its scope; raises NotFound."""
    workspace = await find_workspace(session, workspace_id)
    await enter(session, Scope(account_id=account_id, workspace_id=workspace.id))
    return workspace


async def create_account(session: AsyncSession, *, name: str, user_name: str, email: str) -> NewAccount:
    """Make an account with one admin and one API key for them."""
    account_id = await repository.new_id(session)
    await enter(session, Scope(account_id=account_id))
    await repository.add_account(session, account_id, name)
    user = await repository.add_user(session, account_id, name=user_name, email=email, role=UserRole.ADMIN)
    _, token = await create_key(session, account_id, user.id, "first key")
    return NewAccount(account_id, user.id, token)


async def create_key(session: AsyncSession, account_id: UUID, user_id: UUID, name: str) -> tuple[ApiKey, str]:
    """Make an API key for a user; returns it and the token, which is stored nowhere."""
    token = KEY_PREFIX + new_token()
    key = await repository.add_key(
        session,
        account_id=account_id,
        user_id=user_id,
        name=name,
        prefix=token[:SHOWN_OF_KEY],
        secret_hash=credential_hash(token),
    )
    return key, token


async def me(session: AsyncSession, account_id: UUID, user_id: UUID) -> tuple[Account, User]:
    """Return the caller's account and user; raises NotFound when they are gone."""
    account, user = await repository.find_account(session, account_id), await repository.find_user(session, user_id)
    if account is None or user is None:
        raise NotFound("The account or the user is gone.")
    return account, user


async def create_workspace(session: AsyncSession, account_id: UUID, values: dict[str, Any]) -> Workspace:
    """Make a workspace of the account."""
    return await repository.add_workspace(session, account_id, **values)


async def list_workspaces(session: AsyncSession, page: PageRequest) -> Sequence[Workspace]:
    """Return the account's workspaces, newest first, one more than the page holds."""
    return await repository.list_workspaces(session, page)


async def change_workspace(session: AsyncSession, workspace: Workspace, values: dict[str, Any]) -> Workspace:
    """Change a workspace's settings; raises Malformed when its sending window would close before it opens."""
    if not values:
        return workspace
    opens = values.get("window_start", workspace.window_start)
    closes = values.get("window_end", workspace.window_end)
    if opens >= closes:
        problem = {"location": ["body", "windowStart"], "message": f"must be before windowEnd, {closes:%H:%M}"}
        raise Malformed("The sending window would close before it opens.", errors=[problem])
    return await repository.change_workspace(session, workspace.id, values)


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
    token = new_token()
    values = {
        "transactional_url": transactional_url,
        "tenant_url": tenant_url,
        "username": username,
        "encrypted_key": secrets.encrypt(api_key),
        "webhook_token_hash": credential_hash(token),
        "encrypted_webhook_password": secrets.encrypt(new_token()),
        "webhook_id": None,
        "disabled_at": None,
        "disabled_reason": None,
    }
    try:
        connection = await repository.put_connection(session, workspace_id, values)
    except IntegrityError as error:
        raise AlreadyExists("The connection was changed by somebody else at the same moment; try again.") from error
    await jobs.enqueue(
        session, REGISTER_WEBHOOK, workspace_id, [jobs.Job(now, {"token": secrets.encrypt(token)})], max_attempts=10
    )
    # What waited for a connection is asked again.
    await jobs.enqueue(session, RESUME_SENDS, workspace_id, [jobs.Job(now)])
    return NewConnection(connection, token)


async def find_connection(session: AsyncSession, workspace_id: UUID) -> EverlyticConnection:
    """Return the workspace's connection; raises NotFound when there is none."""
    connection = await repository.find_connection(session, workspace_id)
    if connection is None:
        raise NotFound("This workspace has no Everlytic connection yet.")
    return connection


async def disconnect_everlytic(session: AsyncSession, workspace_id: UUID, reason: str) -> None:
    """Stop sending through and syncing from the workspace's connection."""
    await find_connection(session, workspace_id)
    await repository.disable_connection(session, workspace_id, reason)


async def enter_by_webhook_token(session: AsyncSession, token_hash: str) -> EverlyticConnection:
    """Return the connection a webhook token belongs to and enter its workspace's scope; raises NotFound."""
    connection = await repository.find_connection_by_token(session, token_hash)
    if connection is None:
        raise NotFound("There is no such webhook.")
    await enter(session, Scope(workspace_id=connection.workspace_id))
    return connection


async def webhook_registered(session: AsyncSession, workspace_id: UUID, webhook_id: str) -> None:
    """Note under which id Everlytic knows the workspace's webhook."""
    await repository.set_webhook(session, workspace_id, webhook_id)

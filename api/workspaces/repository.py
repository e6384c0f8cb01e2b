"""The SQL of accounts, users, keys, workspaces and connections."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.pagination import PageRequest, paged
from database.models import Account, ApiKey, EverlyticConnection, User, Workspace

LAST_USED_RESOLUTION = timedelta(minutes=1)


async def find_key(session: AsyncSession, secret_hash: str) -> ApiKey | None:
    """Return the live key with this hash; the transaction must carry it as its credential."""
    return await session.scalar(select(ApiKey).where(ApiKey.secret_hash == secret_hash, ApiKey.revoked_at.is_(None)))


async def mark_key_used(session: AsyncSession, key: ApiKey) -> None:
    """Note when the key was last used, at most once a minute, so that reads stay reads."""
    due = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < func.now() - LAST_USED_RESOLUTION)
    if await session.scalar(select(due).where(ApiKey.id == key.id)):
        await session.execute(update(ApiKey).where(ApiKey.id == key.id).values(last_used_at=func.now()))


async def add_account(session: AsyncSession, account_id: UUID, name: str) -> None:
    """Insert an account under an id chosen by the caller, whose scope the transaction is already in."""
    await session.execute(insert(Account).values(id=account_id, name=name))


async def new_id(session: AsyncSession) -> UUID:
    """Return a fresh UUIDv7 of the database's making."""
    return (await session.scalars(select(func.app.uuidv7()))).one()


async def add_user(session: AsyncSession, account_id: UUID, **values: Any) -> User:
    """Insert a user; an address taken within the account raises IntegrityError."""
    statement = insert(User).values(account_id=account_id, **values).returning(User)
    return (await session.scalars(statement)).one()


async def find_user(session: AsyncSession, user_id: UUID) -> User | None:
    """Return a user of the account."""
    return await session.scalar(select(User).where(User.id == user_id))


async def add_key(session: AsyncSession, **values: Any) -> ApiKey:
    """Insert an API key."""
    return (await session.scalars(insert(ApiKey).values(**values).returning(ApiKey))).one()


async def find_account(session: AsyncSession, account_id: UUID) -> Account | None:
    """Return the account."""
    return await session.scalar(select(Account).where(Account.id == account_id))


async def add_workspace(session: AsyncSession, account_id: UUID, **values: Any) -> Workspace:
    """Insert a workspace."""
    statement = insert(Workspace).values(account_id=account_id, **values).returning(Workspace)
    return (await session.scalars(statement)).one()


async def find_workspace(session: AsyncSession, workspace_id: UUID) -> Workspace | None:
    """Return a workspace that is visible in the transaction's scope and not deleted."""
    return await session.scalar(select(Workspace).where(Workspace.id == workspace_id, Workspace.deleted_at.is_(None)))


async def list_workspaces(session: AsyncSession, page: PageRequest) -> Sequence[Workspace]:
    """Return the account's workspaces, newest first, one more than the page holds."""
    statement = paged(select(Workspace).where(Workspace.deleted_at.is_(None)), Workspace.id, page)
    return (await session.scalars(statement)).all()


async def change_workspace(session: AsyncSession, workspace_id: UUID, values: dict[str, Any]) -> Workspace:
    """Update a workspace's settings and return it."""
    statement = update(Workspace).where(Workspace.id == workspace_id).values(**values).returning(Workspace)
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


async def put_connection(session: AsyncSession, workspace_id: UUID, values: dict[str, Any]) -> EverlyticConnection:
    """Insert or replace the workspace's connection to Everlytic."""
    statement = (
        insert(EverlyticConnection)
        .values(workspace_id=workspace_id, **values)
        .on_conflict_do_update(index_elements=["workspace_id"], set_=values)
        .returning(EverlyticConnection)
    )
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


async def find_connection(session: AsyncSession, workspace_id: UUID) -> EverlyticConnection | None:
    """Return the workspace's connection to Everlytic, disabled or not."""
    return await session.scalar(select(EverlyticConnection).where(EverlyticConnection.workspace_id == workspace_id))


async def find_connection_by_token(session: AsyncSession, token_hash: str) -> EverlyticConnection | None:
    """Return the connection whose webhook token has this hash; the transaction must carry it as its credential."""
    return await session.scalar(select(EverlyticConnection).where(EverlyticConnection.webhook_token_hash == token_hash))


async def disable_connection(session: AsyncSession, workspace_id: UUID, reason: str) -> None:
    """Stop using the workspace's connection, and say why."""
    await session.execute(
        update(EverlyticConnection)
        .where(EverlyticConnection.workspace_id == workspace_id, EverlyticConnection.disabled_at.is_(None))
        .values(disabled_at=func.now(), disabled_reason=reason)
    )


async def set_webhook(session: AsyncSession, workspace_id: UUID, webhook_id: str) -> None:
    """Store under which id Everlytic knows the workspace's webhook."""
    await session.execute(
        update(EverlyticConnection)
        .where(EverlyticConnection.workspace_id == workspace_id)
        .values(webhook_id=webhook_id)
    )

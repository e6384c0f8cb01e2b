"""The SQL of workspaces and connections."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.pagination import PageRequest, paged
from database.models import EverlyticConnection, JobStatus, ScheduledJob, Workspace


async def add_workspace(session: AsyncSession, account_id: UUID, **values: Any) -> Workspace:
    """Insert a workspace."""
    statement = insert(Workspace).values(account_id=account_id, **values).returning(Workspace)
    return (await session.scalars(statement)).one()


async def find_workspace(session: AsyncSession, workspace_id: UUID) -> Workspace | None:
    """Return a workspace that is visible in the transaction's scope and not deleted."""
    return await session.scalar(select(Workspace).where(Workspace.id == workspace_id, Workspace.deleted_at.is_(None)))


async def hold_workspace(session: AsyncSession, workspace_id: UUID) -> Workspace | None:
    """Return a workspace that is not deleted, which nobody else changes until the transaction ends."""
    statement = select(Workspace).where(Workspace.id == workspace_id, Workspace.deleted_at.is_(None))
    statement = statement.with_for_update(key_share=True)
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def hold_uncapped(session: AsyncSession, workspace_id: UUID) -> Workspace | None:
    """Return a workspace without a daily cap that is not deleted; many may hold it so, and none of them changes it."""
    statement = select(Workspace).where(
        Workspace.id == workspace_id, Workspace.deleted_at.is_(None), Workspace.daily_cap.is_(None)
    )
    return await session.scalar(statement.with_for_update(read=True), execution_options={"populate_existing": True})


async def delete_workspace(session: AsyncSession, workspace_id: UUID) -> None:
    """Mark a workspace as deleted."""
    await session.execute(update(Workspace).where(Workspace.id == workspace_id).values(deleted_at=func.now()))


async def cancel_jobs(session: AsyncSession, workspace_id: UUID, now: datetime, reason: str) -> None:
    """Cancel all jobs of the workspace that have not started."""
    await session.execute(
        update(ScheduledJob)
        .where(ScheduledJob.workspace_id == workspace_id, ScheduledJob.status == JobStatus.PENDING)
        .values(status=JobStatus.CANCELLED, completed_at=now, last_error=reason)
    )


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


async def retire_connection(session: AsyncSession, workspace_id: UUID, reason: str) -> None:
    """Stop using the workspace's connection, and forget the token by which webhooks come in."""
    await session.execute(
        update(EverlyticConnection)
        .where(EverlyticConnection.workspace_id == workspace_id)
        .values(
            disabled_at=func.coalesce(EverlyticConnection.disabled_at, func.now()),
            disabled_reason=reason,
            webhook_token_hash=func.concat("retired ", EverlyticConnection.id),
        )
    )


async def set_webhook(session: AsyncSession, workspace_id: UUID, webhook_id: str) -> None:
    """Store under which id Everlytic knows the workspace's webhook."""
    await session.execute(
        update(EverlyticConnection)
        .where(EverlyticConnection.workspace_id == workspace_id)
        .values(webhook_id=webhook_id)
    )

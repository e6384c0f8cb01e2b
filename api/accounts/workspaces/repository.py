"""The SQL of workspaces and connections."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.pagination import PageRequest, paged
from database.models import EverlyticConnection, JobStatus, Mailbox, ScheduledJob, Workspace


async def add_workspace(session: AsyncSession, account_id: UUID, **values: Any) -> Workspace:
    """Insert a workspace."""
    statement = insert(Workspace).values(account_id=account_id, **values).returning(Workspace)
    return (await session.scalars(statement)).one()


async def find_workspace(session: AsyncSession, workspace_id: UUID) -> Workspace | None:
    """Return a workspace that is visible in the transaction's scope and not deleted."""
    return await session.scalar(select(Workspace).where(Workspace.id == workspace_id, Workspace.deleted_at.is_(None)))


async def lock_workspace(session: AsyncSession, workspace_id: UUID) -> Workspace | None:
    """Return a workspace that is not deleted, locked until the transaction ends."""
    statement = select(Workspace).where(Workspace.id == workspace_id, Workspace.deleted_at.is_(None))
    statement = statement.with_for_update(key_share=True)
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def lock_unlimited_workspace(session: AsyncSession, workspace_id: UUID) -> Workspace | None:
    """Return a workspace that is not deleted and has no send limits, with a shared lock."""
    statement = select(Workspace).where(
        Workspace.id == workspace_id,
        Workspace.deleted_at.is_(None),
        Workspace.daily_cap.is_(None),
        Workspace.sends_per_minute.is_(None),
        Workspace.domain_gap_seconds.is_(None),
    )
    return await session.scalar(statement.with_for_update(read=True), execution_options={"populate_existing": True})


async def delete_workspace(session: AsyncSession, workspace_id: UUID) -> None:
    """Mark a workspace as deleted."""
    await session.execute(update(Workspace).where(Workspace.id == workspace_id).values(deleted_at=func.now()))


async def delete_mailbox(session: AsyncSession, workspace_id: UUID) -> None:
    """Delete the workspace's mailbox, its password with it."""
    await session.execute(delete(Mailbox).where(Mailbox.workspace_id == workspace_id))


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


_REQUEUE_SENDS = text(
    """
    WITH released AS (DELETE FROM app.send_slots WHERE workspace_id = :workspace_id AND NOT is_used)
    UPDATE app.scheduled_jobs
       SET run_at = greatest(scheduled_for, :now), paced = false
     WHERE workspace_id = :workspace_id AND job_type = 'send_email' AND status = 'pending' AND run_at > :now
       AND run_at > scheduled_for
    """
)


async def requeue_sends(session: AsyncSession, workspace_id: UUID, now: datetime) -> None:
    """Reschedule every deferred mail, so that it is checked by the current settings."""
    await session.execute(_REQUEUE_SENDS, {"workspace_id": workspace_id, "now": now})


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
    """Disable the connection of the workspace, with the reason."""
    await session.execute(
        update(EverlyticConnection)
        .where(EverlyticConnection.workspace_id == workspace_id, EverlyticConnection.disabled_at.is_(None))
        .values(disabled_at=func.now(), disabled_reason=reason)
    )


async def retire_connection(session: AsyncSession, workspace_id: UUID, reason: str) -> None:
    """Disable the connection of the workspace, and delete its webhook token."""
    await session.execute(
        update(EverlyticConnection)
        .where(EverlyticConnection.workspace_id == workspace_id)
        .values(
            disabled_at=func.coalesce(EverlyticConnection.disabled_at, func.now()),
            disabled_reason=reason,
            webhook_token_hash=func.concat("retired ", EverlyticConnection.id),
        )
    )


async def lock_connection(session: AsyncSession, workspace_id: UUID) -> EverlyticConnection | None:
    """Return the connection of the workspace, locked until the transaction ends."""
    statement = select(EverlyticConnection).where(EverlyticConnection.workspace_id == workspace_id).with_for_update()
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def block_connection(
    session: AsyncSession, workspace_id: UUID, failures: int, blocked_until: datetime | None, reason: str | None
) -> None:
    """Store until when the connection of the workspace is blocked, and why."""
    await session.execute(
        update(EverlyticConnection)
        .where(EverlyticConnection.workspace_id == workspace_id)
        .values(failures=failures, blocked_until=blocked_until, blocked_reason=reason)
    )


async def lock_for_probe(session: AsyncSession, connection: EverlyticConnection, until: datetime) -> bool:
    """Block a connection until a time; if its block has changed since it was read, read it again and return False."""
    statement = (
        update(EverlyticConnection)
        .where(
            EverlyticConnection.id == connection.id,
            EverlyticConnection.blocked_until.is_not_distinct_from(connection.blocked_until),
        )
        .values(blocked_until=until)
        .returning(EverlyticConnection)
    )
    blocked = (await session.scalars(statement, execution_options={"populate_existing": True})).one_or_none()
    if blocked is None:
        await session.refresh(connection)
    return blocked is not None


async def refuse_connection(session: AsyncSession, workspace_id: UUID, encrypted_key: str, reason: str) -> None:
    """Disable the connection of the workspace, with the reason, unless its credentials were replaced."""
    await session.execute(
        update(EverlyticConnection)
        .where(
            EverlyticConnection.workspace_id == workspace_id,
            EverlyticConnection.encrypted_key == encrypted_key,
            EverlyticConnection.disabled_at.is_(None),
        )
        .values(disabled_at=func.now(), disabled_reason=reason)
    )


async def wake_sends(session: AsyncSession, workspace_id: UUID, waiting_for: datetime, now: datetime) -> None:
    """Reschedule to now the sends that wait until `waiting_for`."""
    await session.execute(
        update(ScheduledJob)
        .where(
            ScheduledJob.workspace_id == workspace_id,
            ScheduledJob.job_type == "send_email",
            ScheduledJob.status == JobStatus.PENDING,
            ScheduledJob.run_at == waiting_for,
        )
        .values(run_at=now)
    )


async def set_webhook(session: AsyncSession, workspace_id: UUID, webhook_id: str) -> None:
    """Store the id of the workspace's webhook at Everlytic."""
    await session.execute(
        update(EverlyticConnection)
        .where(EverlyticConnection.workspace_id == workspace_id)
        .values(webhook_id=webhook_id)
    )

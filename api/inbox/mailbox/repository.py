"""SQL for mailboxes."""

from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from database.models import Mailbox


async def find_mailbox(session: AsyncSession, workspace_id: UUID) -> Mailbox | None:
    """Return the workspace's mailbox."""
    return await session.scalar(select(Mailbox).where(Mailbox.workspace_id == workspace_id))


async def lock_mailbox(session: AsyncSession, workspace_id: UUID, mailbox_id: UUID) -> Mailbox | None:
    """Return the current mailbox, locked until the transaction ends."""
    statement = select(Mailbox).where(Mailbox.workspace_id == workspace_id, Mailbox.id == mailbox_id).with_for_update()
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def delete_mailbox(session: AsyncSession, workspace_id: UUID) -> None:
    """Delete the workspace's mailbox."""
    await session.execute(delete(Mailbox).where(Mailbox.workspace_id == workspace_id))


async def add_mailbox(session: AsyncSession, workspace_id: UUID, values: dict[str, Any]) -> Mailbox:
    """Insert a mailbox."""
    statement = insert(Mailbox).values(workspace_id=workspace_id, **values).returning(Mailbox)
    return (await session.scalars(statement)).one()


async def change_mailbox(session: AsyncSession, mailbox_id: UUID, values: dict[str, Any]) -> None:
    """Change a mailbox."""
    await session.execute(update(Mailbox).where(Mailbox.id == mailbox_id).values(**values))

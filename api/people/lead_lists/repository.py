"""The SQL of lists."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.pagination import PageRequest, paged
from database.landing import allow_long_statements
from database.locks import lead_list_key
from database.models import Lead, LeadList

# Advisory locks, because the row of a list is locked after its leads: a transaction that removes a lead from a list
# locks the lead first and then changes the count.
_LOCK_SHARED = text(
    f"""
    SELECT pg_advisory_xact_lock_shared({lead_list_key("given.id")})
      FROM (SELECT DISTINCT unnest(CAST(:list_ids AS uuid[])) AS id ORDER BY id) AS given
    """  # noqa: S608 - the key is ours
)
_LOCK_EXCLUSIVE = text(f"SELECT pg_advisory_xact_lock({lead_list_key(':list_id')})")

_COUNT = text(
    """
    WITH change AS (
      SELECT id, delta FROM unnest(CAST(:list_ids AS uuid[]), CAST(:deltas AS int[])) AS change (id, delta)
    ),
    locked AS (
      SELECT list.id FROM app.lead_lists AS list JOIN change USING (id)
       WHERE list.workspace_id = :workspace_id
       ORDER BY list.id
         FOR NO KEY UPDATE OF list
    )
    UPDATE app.lead_lists AS list
       SET lead_count = list.lead_count + change.delta
      FROM locked JOIN change USING (id)
     WHERE list.id = locked.id
    """
)


async def add_list(session: AsyncSession, workspace_id: UUID, name: str, source_filename: str | None) -> LeadList:
    """Insert an empty list."""
    statement = insert(LeadList).values(workspace_id=workspace_id, name=name, source_filename=source_filename)
    return (await session.scalars(statement.returning(LeadList))).one()


async def find_list(session: AsyncSession, workspace_id: UUID, list_id: UUID, *, lock: bool = False) -> LeadList | None:
    """Return a list that is not deleted; with `lock`, locked until the transaction ends."""
    statement = select(LeadList).where(
        LeadList.workspace_id == workspace_id, LeadList.id == list_id, LeadList.deleted_at.is_(None)
    )
    if lock:
        statement = statement.with_for_update(key_share=True)
    return await session.scalar(statement, execution_options={"populate_existing": True})


async def list_lists(session: AsyncSession, workspace_id: UUID, page: PageRequest) -> Sequence[LeadList]:
    """Return the workspace's lists, newest first, one more than the page holds."""
    statement = select(LeadList).where(LeadList.workspace_id == workspace_id, LeadList.deleted_at.is_(None))
    return (await session.scalars(paged(statement, LeadList.id, page))).all()


async def lock_shared(session: AsyncSession, workspace_id: UUID, list_ids: Sequence[UUID]) -> set[UUID]:
    """Prevent the deletion of lists until the transaction ends, and return those that exist."""
    await session.execute(_LOCK_SHARED, {"workspace_id": str(workspace_id), "list_ids": list(list_ids)})
    statement = select(LeadList.id).where(
        LeadList.workspace_id == workspace_id, LeadList.id.in_(list_ids), LeadList.deleted_at.is_(None)
    )
    return set((await session.scalars(statement)).all())


async def lock_exclusive(session: AsyncSession, workspace_id: UUID, list_id: UUID) -> None:
    """Wait for all shared locks of a list, and prevent new ones until the transaction ends."""
    await session.execute(_LOCK_EXCLUSIVE, {"workspace_id": str(workspace_id), "list_id": str(list_id)})


async def change_counts(session: AsyncSession, workspace_id: UUID, deltas: Mapping[UUID, int]) -> None:
    """Add a number to the count of each list."""
    parameters = {"workspace_id": workspace_id, "list_ids": list(deltas), "deltas": list(deltas.values())}
    await session.execute(_COUNT, parameters)


async def rename_list(session: AsyncSession, workspace_id: UUID, list_id: UUID, name: str) -> LeadList:
    """Rename a locked list."""
    statement = (
        update(LeadList)
        .where(LeadList.workspace_id == workspace_id, LeadList.id == list_id)
        .values(name=name)
        .returning(LeadList)
    )
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


async def detach_leads(session: AsyncSession, workspace_id: UUID, list_id: UUID) -> None:
    """Remove all leads from a list in one statement; a deleted lead has no list when it is restored."""
    await allow_long_statements(session)
    locked = (
        select(Lead.id)
        .where(Lead.workspace_id == workspace_id, Lead.list_id == list_id, Lead.deleted_at.is_(None))
        # Lock in id order to avoid deadlocks (database/locks.py).
        .order_by(Lead.id)
        .with_for_update(key_share=True)
        .cte("locked")
    )
    await session.execute(
        update(Lead).where(Lead.id == locked.c.id).values(list_id=None).execution_options(synchronize_session=False)
    )


async def delete_list(session: AsyncSession, workspace_id: UUID, list_id: UUID) -> None:
    """Mark a list without leads as deleted."""
    statement = (
        update(LeadList)
        .where(LeadList.workspace_id == workspace_id, LeadList.id == list_id)
        .values(deleted_at=func.now(), lead_count=0)
        .execution_options(synchronize_session=False)
    )
    await session.execute(statement)

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

# No row of a list may be held while its leads are: who takes a lead out of it holds the lead and then counts.
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
    held AS (
      SELECT list.id FROM app.lead_lists AS list JOIN change USING (id)
       WHERE list.workspace_id = :workspace_id
       ORDER BY list.id
         FOR NO KEY UPDATE OF list
    )
    UPDATE app.lead_lists AS list
       SET lead_count = list.lead_count + change.delta
      FROM held JOIN change USING (id)
     WHERE list.id = held.id
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
    """Keep lists from being deleted until the transaction ends, and return those that are not deleted yet."""
    await session.execute(_LOCK_SHARED, {"workspace_id": str(workspace_id), "list_ids": list(list_ids)})
    found = select(LeadList.id).where(
        LeadList.workspace_id == workspace_id, LeadList.id.in_(list_ids), LeadList.deleted_at.is_(None)
    )
    return set((await session.scalars(found)).all())


async def lock_exclusive(session: AsyncSession, workspace_id: UUID, list_id: UUID) -> None:
    """Wait for everybody who keeps a list, and let nobody keep it until the transaction ends."""
    await session.execute(_LOCK_EXCLUSIVE, {"workspace_id": str(workspace_id), "list_id": str(list_id)})


async def change_counts(session: AsyncSession, workspace_id: UUID, deltas: Mapping[UUID, int]) -> None:
    """Add to the counts of lists, each by its own number; lists are locked in the order of their ids."""
    parameters = {"workspace_id": workspace_id, "list_ids": list(deltas), "deltas": list(deltas.values())}
    await session.execute(_COUNT, parameters)


async def rename_list(session: AsyncSession, workspace_id: UUID, list_id: UUID, name: str) -> LeadList:
    """Give a list that the caller holds another name."""
    statement = (
        update(LeadList)
        .where(LeadList.workspace_id == workspace_id, LeadList.id == list_id)
        .values(name=name)
        .returning(LeadList)
    )
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


async def detach_leads(session: AsyncSession, workspace_id: UUID, list_id: UUID) -> None:
    """Take every lead out of a list, in one statement; a deleted one finds its list gone when it is restored."""
    await allow_long_statements(session)
    held = (
        select(Lead.id)
        .where(Lead.workspace_id == workspace_id, Lead.list_id == list_id, Lead.deleted_at.is_(None))
        # Lock in id order to avoid deadlocks (database/locks.py).
        .order_by(Lead.id)
        .with_for_update(key_share=True)
        .cte("held")
    )
    await session.execute(
        update(Lead).where(Lead.id == held.c.id).values(list_id=None).execution_options(synchronize_session=False)
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

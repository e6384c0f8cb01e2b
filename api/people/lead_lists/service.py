"""Lists of leads; their counts stay exact when several transactions add and remove leads."""

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.http.errors import NotFound, or_404
from api.people.lead_lists import repository
from database.models import LeadList

NO_SUCH_LIST = "There is no such lead list."


async def create_list(
    session: AsyncSession, workspace_id: UUID, name: str, *, source_filename: str | None = None
) -> LeadList:
    """Create an empty list."""
    return await repository.add_list(session, workspace_id, name, source_filename)


async def get_list(session: AsyncSession, workspace_id: UUID, list_id: UUID) -> LeadList:
    """Return a list; raises NotFound."""
    return or_404(await repository.find_list(session, workspace_id, list_id), NO_SUCH_LIST)


async def lock_shared(session: AsyncSession, workspace_id: UUID, list_ids: Collection[UUID]) -> set[UUID]:
    """Return which of these lists exist; they cannot be deleted until the transaction ends, so leads can join them.

    Call it before any lead is locked, to avoid deadlocks.
    """
    return await repository.lock_shared(session, workspace_id, sorted(list_ids)) if list_ids else set()


async def require_list(session: AsyncSession, workspace_id: UUID, list_id: UUID | None) -> None:
    """Lock a list that a lead is to join, as `lock_shared` does; raises NotFound."""
    if list_id is not None and not await lock_shared(session, workspace_id, [list_id]):
        raise NotFound(NO_SUCH_LIST)


async def change_counts(session: AsyncSession, workspace_id: UUID, deltas: Mapping[UUID, int]) -> None:
    """Change the counts of lists; call it in the transaction that adds or removes leads, after it did."""
    changed = {list_id: delta for list_id, delta in deltas.items() if delta}
    if changed:
        await repository.change_counts(session, workspace_id, changed)


async def lock_list(session: AsyncSession, workspace_id: UUID, list_id: UUID) -> LeadList:
    """Return a list, locked until the transaction ends; raises NotFound."""
    await lock_shared(session, workspace_id, [list_id])
    return or_404(await repository.find_list(session, workspace_id, list_id, lock=True), NO_SUCH_LIST)


async def rename_list(session: AsyncSession, locked: LeadList, name: str) -> LeadList:
    """Rename a locked list."""
    return await repository.rename_list(session, locked.workspace_id, locked.id, name)


async def lock_list_exclusive(session: AsyncSession, workspace_id: UUID, list_id: UUID) -> LeadList:
    """Return a list that cannot be changed or joined until the transaction ends; raises NotFound."""
    await repository.lock_exclusive(session, workspace_id, list_id)
    return or_404(await repository.find_list(session, workspace_id, list_id), NO_SUCH_LIST)


async def delete_list(session: AsyncSession, locked: LeadList) -> None:
    """Delete an exclusively locked list; its leads stay without a list."""
    await repository.detach_leads(session, locked.workspace_id, locked.id)
    await repository.delete_list(session, locked.workspace_id, locked.id)


async def delete_if_empty(session: AsyncSession, workspace_id: UUID, list_id: UUID) -> None:
    """Delete a list if no lead is in it."""
    await repository.lock_exclusive(session, workspace_id, list_id)
    locked = await repository.find_list(session, workspace_id, list_id)
    if locked is not None and locked.lead_count == 0:
        await repository.delete_list(session, workspace_id, list_id)

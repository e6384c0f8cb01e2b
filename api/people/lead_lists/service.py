"""Lists: naming them, and keeping their counts true whoever puts leads in and takes them out at the same time."""

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.http.errors import NotFound
from api.people.lead_lists import repository
from database.models import LeadList

NO_SUCH_LIST = "There is no such lead list."


async def create_list(
    session: AsyncSession, workspace_id: UUID, name: str, *, source_filename: str | None = None
) -> LeadList:
    """Make an empty list."""
    return await repository.add_list(session, workspace_id, name, source_filename)


async def get_list(session: AsyncSession, workspace_id: UUID, list_id: UUID) -> LeadList:
    """Return a list; raises NotFound."""
    return _there(await repository.find_list(session, workspace_id, list_id))


async def lock_shared(session: AsyncSession, workspace_id: UUID, list_ids: Collection[UUID]) -> set[UUID]:
    """Return which of these lists are there; they stay until the transaction ends, so that leads may join them.

    To be called before any lead is held, or two transactions may wait for each other.
    """
    return await repository.lock_shared(session, workspace_id, sorted(list_ids)) if list_ids else set()


async def require_list(session: AsyncSession, workspace_id: UUID, list_id: UUID | None) -> None:
    """Make sure that a lead may join a list, as `keep` does; raises NotFound."""
    if list_id is not None and not await lock_shared(session, workspace_id, [list_id]):
        raise NotFound(NO_SUCH_LIST)


async def change_counts(session: AsyncSession, workspace_id: UUID, deltas: Mapping[UUID, int]) -> None:
    """Keep counts true; to be called in the transaction that puts leads in or takes them out, after it did."""
    changed = {list_id: delta for list_id, delta in deltas.items() if delta}
    if changed:
        await repository.change_counts(session, workspace_id, changed)


async def lock_list(session: AsyncSession, workspace_id: UUID, list_id: UUID) -> LeadList:
    """Return a list, held against changes until the transaction ends; raises NotFound."""
    await lock_shared(session, workspace_id, [list_id])
    return _there(await repository.find_list(session, workspace_id, list_id, lock=True))


async def rename_list(session: AsyncSession, held: LeadList, name: str) -> LeadList:
    """Give a list that is held another name."""
    return await repository.rename_list(session, held.workspace_id, held.id, name)


async def lock_list_exclusive(session: AsyncSession, workspace_id: UUID, list_id: UUID) -> LeadList:
    """Return a list that nobody may change or join until the transaction ends; raises NotFound."""
    await repository.lock_exclusive(session, workspace_id, list_id)
    return _there(await repository.find_list(session, workspace_id, list_id))


async def delete_list(session: AsyncSession, closed: LeadList) -> None:
    """Delete a list that is closed; its leads stay, without a list, all of them changed by one statement."""
    await repository.detach_leads(session, closed.workspace_id, closed.id)
    await repository.delete_list(session, closed.workspace_id, closed.id)


async def delete_if_empty(session: AsyncSession, workspace_id: UUID, list_id: UUID) -> None:
    """Delete a list in which there is nobody; one that holds somebody, or is gone already, stays as it is."""
    await repository.lock_exclusive(session, workspace_id, list_id)
    found = await repository.find_list(session, workspace_id, list_id)
    if found is not None and found.lead_count == 0:
        await repository.delete_list(session, workspace_id, list_id)


def _there(found: LeadList | None) -> LeadList:
    if found is None:
        raise NotFound(NO_SUCH_LIST)
    return found

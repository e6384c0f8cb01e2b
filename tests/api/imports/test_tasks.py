import asyncio
import contextlib
import io
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from api.imports import service
from api.resources import Services
from database.models import DuplicatePolicy, ImportState, Lead, LeadImport, LeadList
from database.tenancy import Scope, transaction

pytestmark = pytest.mark.anyio

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
MANY = 500


async def receive(services: Services, workspace_id: UUID, addresses: list[str]) -> UUID:
    """Upload a file of addresses and ask for its commit."""
    data = "Email\n" + "".join(f"{address}\n" for address in addresses)
    scope = Scope(workspace_id=workspace_id)
    file = io.BytesIO(data.encode())
    async with (
        service.reading(services, workspace_id, file, actor=uuid4()) as read,
        transaction(services.pool, scope) as session,
    ):
        made = await service.receive(
            session, workspace_id, read, file_name="people.csv", list_name=None, policy=DuplicatePolicy.FILL
        )
    async with transaction(services.pool, scope) as session:
        await service.start_commit(session, workspace_id, made.id, AT)
    return made.id


async def commit(services: Services, workspace_id: UUID, import_id: UUID) -> None:
    """Commit an import as its job does."""
    async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
        await service.commit(session, workspace_id, import_id, AT)


async def counts(services: Services, workspace_id: UUID) -> tuple[int, int, list[LeadImport]]:
    """Return how many leads there are, how many the lists say there are, and the imports."""
    async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
        leads = (await session.scalars(select(func.count()).select_from(Lead))).one()
        listed = (await session.scalars(select(func.sum(LeadList.lead_count)))).one()
        imports = (await session.scalars(select(LeadImport).order_by(LeadImport.id))).all()
        return leads, listed or 0, list(imports)


class CutShort(Exception):
    """Ends a transaction as a crash would."""


async def test_commit_twice(services: Services, workspace: str) -> None:
    """A job that is run again, at once or later, changes nothing: not the leads, not the counts."""
    workspace_id = UUID(workspace)
    import_id = await receive(services, workspace_id, [f"p{number}@example.com" for number in range(MANY)])
    await asyncio.gather(*(commit(services, workspace_id, import_id) for _ in range(3)))
    await commit(services, workspace_id, import_id)
    leads, listed, (made,) = await counts(services, workspace_id)
    assert (leads, listed, made.new_count, made.duplicate_count) == (MANY, MANY, MANY, 0)
    assert (made.state, made.committed_at) == (ImportState.COMMITTED, AT)


async def test_commit_cut_short(services: Services, workspace: str) -> None:
    """A commit that is cut short leaves no trace, and the next run ends as an undisturbed one."""
    workspace_id = UUID(workspace)
    import_id = await receive(services, workspace_id, [f"p{number}@example.com" for number in range(MANY)])
    with contextlib.suppress(CutShort):
        async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
            await service.commit(session, workspace_id, import_id, AT)
            raise CutShort
    leads, listed, (made,) = await counts(services, workspace_id)
    assert (leads, listed, made.state, made.new_count) == (0, 0, ImportState.COMMITTING, None)
    await commit(services, workspace_id, import_id)
    leads, listed, (made,) = await counts(services, workspace_id)
    assert (leads, listed, made.state, made.new_count) == (MANY, MANY, ImportState.COMMITTED, MANY)


async def test_two_files_at_once(services: Services, workspace: str) -> None:
    """Two files with the same addresses in other orders, committed at once, make each lead once and count it once."""
    workspace_id = UUID(workspace)
    addresses = [f"p{number}@example.com" for number in range(MANY)]
    first = await receive(services, workspace_id, [*addresses, "only-first@example.com"])
    second = await receive(services, workspace_id, addresses[::-1])
    await asyncio.gather(commit(services, workspace_id, first), commit(services, workspace_id, second))
    leads, listed, imports = await counts(services, workspace_id)
    assert leads == listed == MANY + 1
    assert sum(one.new_count or 0 for one in imports) == MANY + 1
    assert sum(one.duplicate_count or 0 for one in imports) == MANY


async def test_fail_and_try_again(services: Services, workspace: str) -> None:
    """An import that failed says why, and can be asked to commit again."""
    workspace_id = UUID(workspace)
    import_id = await receive(services, workspace_id, ["ann@example.com"])
    async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
        await service.fail(session, workspace_id, import_id, "because")
        failed = await service.get_import(session, workspace_id, import_id)
        assert (failed.state, failed.error) == (ImportState.FAILED, "because")
    await commit(services, workspace_id, import_id)
    assert (await counts(services, workspace_id))[0] == 0
    async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
        await service.start_commit(session, workspace_id, import_id, AT)
    await commit(services, workspace_id, import_id)
    leads, _, (made,) = await counts(services, workspace_id)
    assert (leads, made.state, made.error) == (1, ImportState.COMMITTED, None)

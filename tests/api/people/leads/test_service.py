import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import select

from api.http.resources import Services
from api.people.leads import service
from api.people.suppressions import service as suppressions
from database.models import Lead, LeadEventRecord
from database.tenancy import Scope, transaction
from domain.lead import LeadEvent, LeadStatus

pytestmark = pytest.mark.anyio

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


async def make(services: Services, workspace_id: UUID, number: int) -> list[UUID]:
    """Make some leads and return their ids."""
    async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
        made = [
            await service.create_lead(session, workspace_id, {"email": f"p{one}@example.com", "list_id": None})
            for one in range(number)
        ]
    return [lead.id for lead in made]


async def move(services: Services, workspace_id: UUID, ids: list[UUID], event: LeadEvent) -> list[UUID]:
    """Move leads in a transaction of their own."""
    async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
        return await service.apply_event(session, workspace_id, ids, event, cause="test", now=AT)


async def test_move_writes_history(services: Services, workspace: str) -> None:
    """An event moves those leads it is legal for, leaves the others, and each move is told where it came from."""
    workspace_id = UUID(workspace)
    first, second, third = await make(services, workspace_id, 3)
    assert set(await move(services, workspace_id, [first, second], LeadEvent.EMAIL_SENT)) == {first, second}
    assert await move(services, workspace_id, [first, second, third], LeadEvent.REPLY_RECEIVED) != []
    assert await move(services, workspace_id, [first], LeadEvent.REPLY_RECEIVED) == []
    async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
        statuses = {row.id: row.status for row in await session.execute(select(Lead.id, Lead.status))}
        records = (await session.scalars(select(LeadEventRecord).order_by(LeadEventRecord.id))).all()
    assert statuses == {first: "Replied", second: "Replied", third: "New"}
    moves = {(record.lead_id, record.from_status, record.to_status, record.event, record.cause) for record in records}
    assert moves == {
        (lead, *step, "test")
        for lead in (first, second)
        for step in (("New", "Contacted", "email_sent"), ("Contacted", "Replied", "reply_received"))
    }
    assert {record.occurred_at for record in records} == {AT}


async def test_two_move_the_same(services: Services, workspace: str) -> None:
    """Of many that move the same leads at once, one does, and the history is written once."""
    workspace_id = UUID(workspace)
    ids = await make(services, workspace_id, 20)
    orders = [ids, ids[::-1], ids[10:] + ids[:10], ids]
    moved = await asyncio.gather(*(move(services, workspace_id, order, LeadEvent.EMAIL_SENT) for order in orders))
    assert sorted(len(one) for one in moved) == [0, 0, 0, 20]
    async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
        assert len((await session.scalars(select(LeadEventRecord.id))).all()) == 20


async def test_unsubscribe(services: Services, workspace: str) -> None:
    """An unsubscribe moves a lead from any status permanently and suppresses its address; a second changes nothing."""
    workspace_id = UUID(workspace)
    fresh, contacted = await make(services, workspace_id, 2)
    await move(services, workspace_id, [contacted], LeadEvent.EMAIL_SENT)
    async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
        for cause in ("test", "again"):
            await service.unsubscribe_leads(session, workspace_id, [fresh, contacted], cause=cause, now=AT)
        moved = select(LeadEventRecord.lead_id, LeadEventRecord.cause).where(
            LeadEventRecord.to_status == "Unsubscribed"
        )
        assert set(await session.execute(moved)) == {(fresh, "test"), (contacted, "test")}
        assert await suppressions.is_suppressed(session, workspace_id, "p0@example.com")
        assert await suppressions.is_suppressed(session, workspace_id, "p1@example.com")
        assert (
            await service.apply_event(session, workspace_id, [fresh], LeadEvent.EMAIL_SENT, cause="test", now=AT) == []
        )


async def test_unsubscribe_reaches_the_deleted(services: Services, workspace: str) -> None:
    """An unsubscribe by an old link counts after the lead was deleted: the address stays suppressed."""
    workspace_id = UUID(workspace)
    (lead_id,) = await make(services, workspace_id, 1)
    async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
        await service.delete_lead(session, await service.lock_lead(session, workspace_id, lead_id), now=AT)
        await service.unsubscribe_leads(session, workspace_id, [lead_id], cause="test", now=AT)
        assert await suppressions.is_suppressed(session, workspace_id, "p0@example.com")


async def test_qualify(services: Services, workspace: str) -> None:
    """A lead that replied becomes qualified, with its activity noted."""
    workspace_id = UUID(workspace)
    (lead_id,) = await make(services, workspace_id, 1)
    await move(services, workspace_id, [lead_id], LeadEvent.EMAIL_SENT)
    await move(services, workspace_id, [lead_id], LeadEvent.REPLY_RECEIVED)
    async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
        lead = await service.qualify_lead(session, workspace_id, lead_id, cause="test", now=AT)
        assert (lead.status, lead.last_activity_at) == (LeadStatus.QUALIFIED, AT)

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, func, select

from api.http.resources import Services
from api.people.leads import service as leads
from api.people.suppressions import service
from database.conditions import is_suppressed
from database.models import Lead, Suppression
from database.tenancy import Scope, transaction
from domain.suppression import SuppressionReason
from tests.suppression_hash import suppression_hash

pytestmark = pytest.mark.anyio

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
MANY = 1000


async def test_condition(services: Services, workspace: str) -> None:
    """One condition in any statement selects the leads that must not be mailed: by address, by domain, and no other."""
    workspace_id = UUID(workspace)
    addresses = ["ann@example.com", "bob@example.com", "eve@sub.example.org", "kim@example.org", "lee@example.org.za"]
    async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
        for address in addresses:
            values = {"email": address, "list_id": None}
            await leads.create_lead(session, workspace_id, values)
        await service.suppress_addresses(
            session, workspace_id, [" Ann@Example.com"], reason=SuppressionReason.MANUAL, source="test", at=AT
        )
        await service.suppress_domains(session, workspace_id, ["example.org"], source="test", at=AT)
        condition = is_suppressed(workspace_id, Lead.email)
        found = await session.scalars(select(Lead.email).where(condition).order_by(Lead.email))
        assert found.all() == ["ann@example.com", "kim@example.org"]
        kept = await session.scalars(select(func.count()).where(Lead.workspace_id == workspace_id, ~condition))
        assert kept.one() == 3
        assert await service.is_suppressed(session, workspace_id, "KIM@example.org")
        assert not await service.is_suppressed(session, workspace_id, "lee@example.org.za")


async def test_hash_is_the_domains(services: Services, workspace: str) -> None:
    """The hash that Postgres writes is the one that Python computes."""
    workspace_id = UUID(workspace)
    async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
        await service.suppress_addresses(
            session, workspace_id, ["ann@example.com"], reason=SuppressionReason.MANUAL, source="test", at=AT
        )
        await service.suppress_domains(session, workspace_id, ["example.com"], source="test", at=AT)
        stored = (await session.scalars(select(Suppression))).all()
    values = ("ann@example.com", "@example.com")
    assert {row.value_hash for row in stored} == {suppression_hash(stored[0].account_id, value) for value in values}


async def test_many_at_once(services: Services, workspace: str) -> None:
    """A thousand addresses, some twice and some known, are one statement that says how many were new."""
    workspace_id = UUID(workspace)
    many = [f"p{number}@example.com" for number in range(MANY)]
    statements: list[str] = []

    @event.listens_for(services.pool.sync_engine, "before_cursor_execute")
    def _note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
        for values, expected in ((many[:10], 10), (many + many[:5], MANY - 10), (many, 0)):
            statements.clear()
            new = await service.suppress_addresses(
                session, workspace_id, values, reason=SuppressionReason.HARD_BOUNCE, source="test", at=AT
            )
            assert (new, len(statements)) == (expected, 1)
        stored = await session.scalars(select(Suppression.value))
        assert sorted(filter(None, stored)) == sorted(many)


async def test_other_workspace(services: Services, workspace: str) -> None:
    """A suppression of one workspace says nothing in another."""
    workspace_id, other = UUID(workspace), UUID(int=7)
    async with transaction(services.pool, Scope(workspace_id=workspace_id)) as session:
        await service.suppress_addresses(
            session, workspace_id, ["ann@example.com"], reason=SuppressionReason.MANUAL, source="test", at=AT
        )
    async with transaction(services.pool, Scope(workspace_id=other)) as session:
        assert not await service.is_suppressed(session, other, "ann@example.com")

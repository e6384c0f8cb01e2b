"""Settings of a transaction that row-level security reads: who may see which rows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

STATEMENT_TIMEOUT = "60s"
RANDOM_PAGE_COST = "1.1"
"""The cost of an index read on SSDs; with the default of 4 the planner prefers to scan the rows of other tenants."""

_ENTER = text(
    """
    SELECT set_config('app.workspace_id', :workspace_id, true),
           set_config('app.account_id', :account_id, true),
           set_config('app.credential_hash', :credential_hash, true),
           set_config('app.verified_email', :verified_email, true),
           set_config('statement_timeout', :statement_timeout, true),
           set_config('random_page_cost', :random_page_cost, true)
    """
)


@dataclass(frozen=True, slots=True)
class Scope:
    """The account and workspace whose rows a transaction may see; omitted fields show no rows."""

    account_id: UUID | None = None
    workspace_id: UUID | None = None
    credential_hash: str | None = None
    """The hash of an API key or webhook token: shows the row that it belongs to, before the tenant is known."""
    verified_email: str | None = None
    """A verified email address: shows the users with this address, of any account."""


async def enter_scope(session: AsyncSession, scope: Scope) -> None:
    """Set the scope for the transaction that `session` is in."""
    await session.execute(
        _ENTER,
        {
            "workspace_id": str(scope.workspace_id or ""),
            "account_id": str(scope.account_id or ""),
            "credential_hash": scope.credential_hash or "",
            "verified_email": scope.verified_email or "",
            "statement_timeout": STATEMENT_TIMEOUT,
            "random_page_cost": RANDOM_PAGE_COST,
        },
    )


@asynccontextmanager
async def transaction(engine: AsyncEngine, scope: Scope) -> AsyncIterator[AsyncSession]:
    """Open one transaction in `scope`; it commits at the end of the block and rolls back on an error."""
    async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
        await enter_scope(session, scope)
        yield session


@asynccontextmanager
async def open_unscoped_session(
    engine: AsyncEngine, *, isolation_level: str | None = None
) -> AsyncIterator[AsyncSession]:
    """Open a session that sees no rows until its transaction enters a scope; the end of the block commits it.

    The caller may roll back a transaction and enter a scope in the next one; an error rolls the last one back.
    """
    bind = engine if isolation_level is None else engine.execution_options(isolation_level=isolation_level)
    async with AsyncSession(bind, expire_on_commit=False) as session:
        yield session
        await session.commit()

"""Who sees which rows: the settings of a transaction that row-level security reads, and the policies themselves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

STATEMENT_TIMEOUT = "60s"
RANDOM_PAGE_COST = "1.1"
"""What an index costs on solid-state storage; by Postgres' default it would rather walk other tenants' rows."""

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
    """On whose behalf a transaction runs; what is left out is not visible."""

    account_id: UUID | None = None
    workspace_id: UUID | None = None
    credential_hash: str | None = None
    """The hash of an API key or webhook token: makes the one row it belongs to visible, before its tenant is known."""
    verified_email: str | None = None
    """An address that somebody has proved to be theirs: makes the users who have it visible, of any account."""


async def enter(session: AsyncSession, scope: Scope) -> None:
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
        await enter(session, scope)
        yield session


@asynccontextmanager
async def unscoped(engine: AsyncEngine, *, isolation_level: str | None = None) -> AsyncIterator[AsyncSession]:
    """Open a session that sees nothing until its transaction enters a scope; the end of the block commits it.

    A transaction may be rolled back on the way and the next one entered; an error rolls the last one back.
    """
    bound = engine if isolation_level is None else engine.execution_options(isolation_level=isolation_level)
    async with AsyncSession(bound, expire_on_commit=False) as session:
        yield session
        await session.commit()


def workspace_policy(table: str, column: str = "workspace_id") -> list[str]:
    """Return the statements that let the app see only the current workspace's rows of `table` (schema-qualified)."""
    return [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        _policy("workspace", table, f"{column} = (SELECT app.current_workspace())"),
    ]


def account_policy(table: str, column: str = "account_id") -> list[str]:
    """Return the statements that let the app see only the current account's rows of `table` (schema-qualified)."""
    return [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        _policy("account", table, f"{column} = (SELECT app.current_account())"),
    ]


def credential_policy(table: str, column: str) -> str:
    """Return the statement that makes the row of `table` visible whose secret's hash is the transaction's."""
    return (
        f"CREATE POLICY credential ON {table} FOR SELECT TO salesmatter_app "
        f"USING ({column} = (SELECT app.current_credential_hash()))"
    )


def change_triggers(table: str, column: str = "workspace_id", *, name: str = "log") -> list[str]:
    """Return the statements that log each changing statement on `table` (schema-qualified) for live queries.

    `column` has whose change it is; the triggers' names begin with `name`.
    """
    return [
        f"CREATE TRIGGER {name}_{event.lower()} AFTER {event} ON {table} REFERENCING {images} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION app.log_change('{table.rpartition('.')[2]}', '{column}')"
        for event, images in (
            ("INSERT", "NEW TABLE AS changed"),
            ("UPDATE", "NEW TABLE AS changed"),
            ("DELETE", "OLD TABLE AS changed"),
        )
    ]


def _policy(name: str, table: str, condition: str) -> str:
    return f"CREATE POLICY {name} ON {table} TO salesmatter_app USING ({condition}) WITH CHECK ({condition})"

"""The SQL of kept answers."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from database.models import IdempotencyKey

KEPT = timedelta(hours=24)
DELETE_BATCH = 100


async def insert_key(session: AsyncSession, account_id: UUID, user_id: UUID, key: str, fingerprint: str) -> UUID | None:
    """Take a user's key for this transaction; None when it is taken. Waits for another transaction that has it."""
    fresh = {"fingerprint": fingerprint, "created_at": func.now(), "status": None, "encrypted_body": None}
    statement = (
        insert(IdempotencyKey)
        .values(account_id=account_id, user_id=user_id, key=key, fingerprint=fingerprint)
        .on_conflict_do_update(
            index_elements=["user_id", "key"], set_=fresh, where=IdempotencyKey.created_at < func.now() - KEPT
        )
        .returning(IdempotencyKey.id)
    )
    taken: UUID | None = await session.scalar(statement)
    return taken


async def find(session: AsyncSession, user_id: UUID, key: str) -> IdempotencyKey | None:
    """Return what is kept under a user's key."""
    return await session.scalar(
        select(IdempotencyKey).where(IdempotencyKey.user_id == user_id, IdempotencyKey.key == key)
    )


async def store_answer(
    session: AsyncSession, taken: UUID, *, status: int, headers: Mapping[str, str], encrypted_body: str
) -> None:
    """Store the answer under a key that this transaction has taken."""
    await session.execute(
        update(IdempotencyKey)
        .where(IdempotencyKey.id == taken)
        .values(status=status, headers=dict(headers), encrypted_body=encrypted_body)
    )


async def delete_expired(session: AsyncSession, account_id: UUID) -> None:
    """Delete some of the account's answers that are kept no longer; waits for nobody who does the same."""
    old = (
        select(IdempotencyKey.id)
        .where(IdempotencyKey.account_id == account_id, IdempotencyKey.created_at < func.now() - KEPT)
        .limit(DELETE_BATCH)
        .with_for_update(skip_locked=True)
    )
    await session.execute(delete(IdempotencyKey).where(IdempotencyKey.id.in_(old)))

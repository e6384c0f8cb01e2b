"""The SQL of stored answers."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from database.models import IdempotencyKey

RETENTION = timedelta(hours=24)
DELETE_BATCH = 100


async def insert_key(session: AsyncSession, account_id: UUID, user_id: UUID, key: str, fingerprint: str) -> UUID | None:
    """Claim a user's key for this transaction; None if it is used. Waits for a transaction that has claimed it."""
    fresh = {"fingerprint": fingerprint, "created_at": func.now(), "status": None, "encrypted_body": None}
    statement = (
        insert(IdempotencyKey)
        .values(account_id=account_id, user_id=user_id, key=key, fingerprint=fingerprint)
        .on_conflict_do_update(
            index_elements=["user_id", "key"], set_=fresh, where=IdempotencyKey.created_at < func.now() - RETENTION
        )
        .returning(IdempotencyKey.id)
    )
    key_id: UUID | None = await session.scalar(statement)
    return key_id


async def find(session: AsyncSession, user_id: UUID, key: str) -> IdempotencyKey | None:
    """Return the stored answer of a user's key."""
    return await session.scalar(
        select(IdempotencyKey).where(IdempotencyKey.user_id == user_id, IdempotencyKey.key == key)
    )


async def store_answer(
    session: AsyncSession, key_id: UUID, *, status: int, headers: Mapping[str, str], encrypted_body: str
) -> None:
    """Store the answer of a key that this transaction has claimed."""
    await session.execute(
        update(IdempotencyKey)
        .where(IdempotencyKey.id == key_id)
        .values(status=status, headers=dict(headers), encrypted_body=encrypted_body)
    )


async def delete_expired(session: AsyncSession, account_id: UUID) -> None:
    """Delete some expired answers of the account, except those that another transaction is deleting."""
    old = (
        select(IdempotencyKey.id)
        .where(IdempotencyKey.account_id == account_id, IdempotencyKey.created_at < func.now() - RETENTION)
        .limit(DELETE_BATCH)
        .with_for_update(skip_locked=True)
    )
    await session.execute(delete(IdempotencyKey).where(IdempotencyKey.id.in_(old)))

"""The SQL of accounts, users and keys."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.http.pagination import PageRequest, paged
from database.models import Account, ApiKey, User, UserRole


async def create_id(session: AsyncSession) -> UUID:
    """Return a new UUIDv7 from the database."""
    return (await session.scalars(select(func.app.uuidv7()))).one()


async def add_account(session: AsyncSession, account_id: UUID, name: str) -> None:
    """Insert an account under an id chosen by the caller, whose scope the transaction is already in."""
    await session.execute(insert(Account).values(id=account_id, name=name))


async def find_account(session: AsyncSession, account_id: UUID, *, lock: bool = False) -> Account | None:
    """Return the account; with `lock`, as it is now and locked until the transaction ends."""
    statement = select(Account).where(Account.id == account_id)
    if lock:
        statement = statement.with_for_update(key_share=True)
    return await session.scalar(statement, execution_options={"populate_existing": lock})


async def rename_account(session: AsyncSession, account_id: UUID, name: str) -> Account:
    """Update the account's name and return it."""
    statement = update(Account).where(Account.id == account_id).values(name=name).returning(Account)
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


async def add_user(session: AsyncSession, account_id: UUID, **values: Any) -> User:
    """Insert a user; an address taken within the account raises IntegrityError."""
    statement = insert(User).values(account_id=account_id, **values).returning(User)
    return (await session.scalars(statement)).one()


async def list_users(session: AsyncSession, page: PageRequest) -> Sequence[User]:
    """Return the account's users, newest first, one more than the page holds."""
    return (await session.scalars(paged(select(User), User.id, page))).all()


async def find_user(session: AsyncSession, user_id: UUID) -> User | None:
    """Return a user of the account."""
    return await session.scalar(select(User).where(User.id == user_id))


async def lock_user_and_admins(session: AsyncSession, user_id: UUID) -> Sequence[User]:
    """Return a user and all admins of the account as they are now, locked until the transaction ends."""
    statement = (
        select(User)
        .where(or_(User.id == user_id, User.role == UserRole.ADMIN))
        .order_by(User.id)
        .with_for_update(key_share=True)
    )
    return (await session.scalars(statement, execution_options={"populate_existing": True})).all()


async def change_user(session: AsyncSession, user_id: UUID, values: dict[str, Any]) -> User:
    """Update a user and return them."""
    statement = update(User).where(User.id == user_id).values(**values).returning(User)
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


async def delete_user(session: AsyncSession, user_id: UUID) -> None:
    """Delete a user; the database deletes their keys and stored answers with them."""
    await session.execute(delete(User).where(User.id == user_id))


async def add_key(session: AsyncSession, user_id: UUID, *, name: str, prefix: str, secret_hash: str) -> ApiKey | None:
    """Insert an API key for a user of the account, None when there is no such user."""
    # This select is subject to row-level security; the check of the foreign key is not.
    owner = (
        select(User.account_id, User.id, literal(name), literal(prefix), literal(secret_hash))
        .where(User.id == user_id)
        .with_for_update(read=True, key_share=True)
    )
    columns = ["account_id", "user_id", "name", "prefix", "secret_hash"]
    statement = insert(ApiKey).from_select(columns, owner).returning(ApiKey)
    return (await session.scalars(statement)).one_or_none()


async def list_keys(
    session: AsyncSession, page: PageRequest, *, user_id: UUID | None, owner_id: UUID | None
) -> Sequence[ApiKey]:
    """Return keys of the account, newest first, one more than the page holds; of a user, and of an owner, if given."""
    statement = select(ApiKey)
    for given_id in (user_id, owner_id):
        if given_id is not None:
            statement = statement.where(ApiKey.user_id == given_id)
    return (await session.scalars(paged(statement, ApiKey.id, page))).all()


async def find_key(session: AsyncSession, key_id: UUID, owner_id: UUID | None) -> ApiKey | None:
    """Return a key of the account; of an owner, if given."""
    statement = select(ApiKey).where(ApiKey.id == key_id)
    return await session.scalar(statement if owner_id is None else statement.where(ApiKey.user_id == owner_id))


async def find_key_by_hash(session: AsyncSession, secret_hash: str) -> ApiKey | None:
    """Return the key with this secret."""
    return await session.scalar(select(ApiKey).where(ApiKey.secret_hash == secret_hash))


async def revoke_key(session: AsyncSession, key_id: UUID, owner_id: UUID | None) -> bool:
    """Store when a key was first revoked; returns whether the key exists, of an owner if given."""
    statement = (
        update(ApiKey).where(ApiKey.id == key_id).values(revoked_at=func.coalesce(ApiKey.revoked_at, func.now()))
    )
    if owner_id is not None:
        statement = statement.where(ApiKey.user_id == owner_id)
    return await session.scalar(statement.returning(ApiKey.id)) is not None

"""Accounts, their users and their API keys."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts import repository
from api.http.authentication.service import KEY_PREFIX
from api.http.authentication.tokens import Claims
from api.http.errors import AlreadyExists, Conflict, Forbidden, NotFound, or_404
from database.models import Account, ApiKey, User, UserRole
from database.secrets import generate_token, hash_credential
from database.tenancy import Scope, enter_scope

KEY_PREFIX_LENGTH = 10
"""How many characters of a key stay readable, so that users can tell keys apart."""
NO_USER = "There is no such user."
NO_KEY = "There is no such API key."


@dataclass(frozen=True, slots=True)
class Me:
    """The calling user; `key` is None if they use an issuer's token."""

    account: Account
    user: User
    key: ApiKey | None


@dataclass(frozen=True, slots=True)
class LockedUser:
    """A user who is locked until the transaction ends."""

    user: User
    is_last_admin: bool


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new API key; `token` is not stored and is shown only once."""

    key: ApiKey
    token: str


@dataclass(frozen=True, slots=True)
class NewAccount:
    """A new account; `api_key` is shown only once."""

    account_id: UUID
    user_id: UUID
    api_key: str


async def create_account(session: AsyncSession, *, name: str, user_name: str, email: str) -> NewAccount:
    """Create an account with one admin and an API key for them."""
    account_id = await repository.create_id(session)
    await enter_scope(session, Scope(account_id=account_id))
    await repository.add_account(session, account_id, name)
    user = await repository.add_user(session, account_id, name=user_name, email=email, role=UserRole.ADMIN)
    created = await create_key(session, user.id, "first key")
    return NewAccount(account_id, user.id, created.token)


async def get_me(session: AsyncSession, account_id: UUID, user_id: UUID, credential: str | Claims) -> Me:
    """Return the calling user and their key; raises NotFound if they were deleted."""
    key = None
    if not isinstance(credential, Claims):
        key = await repository.find_key_by_hash(session, hash_credential(credential))
    return Me(await find_account(session, account_id), await find_user(session, user_id), key)


async def find_account(session: AsyncSession, account_id: UUID) -> Account:
    """Return the account; raises NotFound if it was deleted."""
    return or_404(await repository.find_account(session, account_id), "There is no such account.")


async def lock_account(session: AsyncSession, account_id: UUID) -> Account:
    """Return the account, locked until the transaction ends; raises NotFound if it was deleted."""
    return or_404(await repository.find_account(session, account_id, lock=True), "There is no such account.")


async def create_user(session: AsyncSession, account_id: UUID, values: dict[str, Any]) -> User:
    """Add a user to the account; raises AlreadyExists if a user of the account has the address."""
    try:
        return await repository.add_user(session, account_id, **values)
    except IntegrityError as error:
        raise AlreadyExists("A user of this account already has this email address.") from error


async def find_user(session: AsyncSession, user_id: UUID) -> User:
    """Return a user of the account; raises NotFound."""
    return or_404(await repository.find_user(session, user_id), NO_USER)


async def lock_user(session: AsyncSession, user_id: UUID, *, by: UUID) -> LockedUser:
    """Lock a user for a change by an admin; raises NotFound, and Forbidden if `by` is no longer an admin.

    All admins of the account are locked as well, so that two admins cannot demote each other at the same time.
    """
    locked = await repository.lock_user_and_admins(session, user_id)
    admins = {user.id for user in locked if user.role == UserRole.ADMIN}
    if by not in admins:
        raise Forbidden("You are no longer an admin of this account.")
    user = or_404(next((user for user in locked if user.id == user_id), None), NO_USER)
    return LockedUser(user, is_last_admin=admins == {user.id})


async def change_user(session: AsyncSession, locked: LockedUser, values: dict[str, Any]) -> User:
    """Change the name or role of a locked user; raises Conflict if the account would have no admin left."""
    if locked.is_last_admin and values.get("role", UserRole.ADMIN) != UserRole.ADMIN:
        raise Conflict("This is the account's last admin. Make another user an admin first.")
    return await repository.change_user(session, locked.user.id, values) if values else locked.user


async def delete_user(session: AsyncSession, locked: LockedUser, *, by: UUID) -> None:
    """Delete a locked user and their keys; raises Conflict for the caller's own user, so that an admin remains."""
    if locked.user.id == by:
        raise Conflict("You cannot delete your own user. Ask another admin of the account.")
    await repository.delete_user(session, locked.user.id)


async def create_key(session: AsyncSession, user_id: UUID, name: str) -> NewKey:
    """Create an API key for a user of the account; raises NotFound."""
    token = KEY_PREFIX + generate_token()
    key = await repository.add_key(
        session, user_id, name=name, prefix=token[:KEY_PREFIX_LENGTH], secret_hash=hash_credential(token)
    )
    return NewKey(or_404(key, NO_USER), token)


async def find_key(session: AsyncSession, key_id: UUID, owner_id: UUID | None) -> ApiKey:
    """Return a key of the account, or of `owner_id` alone; raises NotFound."""
    return or_404(await repository.find_key(session, key_id, owner_id), NO_KEY)


async def revoke_key(session: AsyncSession, key_id: UUID, owner_id: UUID | None) -> None:
    """Revoke a key of the account, or only of `owner_id`, from the commit on; raises NotFound."""
    if not await repository.revoke_key(session, key_id, owner_id):
        raise NotFound(NO_KEY)

"""Who may come in, and as what: accounts, their users and their API keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from api.accounts import repository
from api.http.errors import AlreadyExists, Conflict, Forbidden, NotFound, Unauthorized
from api.http.pagination import PageRequest
from api.http.tokens import Claims
from database.direct import Record
from database.models import Account, ApiKey, User, UserRole, Workspace
from database.secrets import generate_token, hash_credential
from database.tenancy import Scope, enter_scope

KEY_PREFIX = "sm_"
KEY_PREFIX_LENGTH = 10
"""How much of a key is kept readable, so that people can tell keys apart."""

T = TypeVar("T")


@dataclass(frozen=True)
class Identity:
    """Who is calling, and the row of the workspace asked for, if it is theirs."""

    account_id: UUID
    user_id: UUID
    role: UserRole
    row: Record | None

    @property
    def workspace_id(self) -> UUID | None:
        """The id of the workspace asked for, if it is theirs."""
        return self.row["id"] if self.row is not None else None

    @cached_property
    def workspace(self) -> Workspace:
        """The workspace, which must be theirs; made when first asked for, since most requests need its id alone."""
        return Workspace(**(self.row or {}))


@dataclass(frozen=True, slots=True)
class Me:
    """Who is calling; `key` is None for who came in with an issuer's token."""

    account: Account
    user: User
    key: ApiKey | None


@dataclass(frozen=True, slots=True)
class LockedUser:
    """A user whom nobody else changes until the transaction ends."""

    user: User
    is_last_admin: bool


@dataclass(frozen=True, slots=True)
class NewKey:
    """An API key just made; `token` is stored nowhere and shown this once."""

    key: ApiKey
    token: str


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account just made; `api_key` is shown this once."""

    account_id: UUID
    user_id: UUID
    api_key: str


async def authenticate(session: AsyncSession, credential: str | Claims, workspace_id: UUID | None) -> Identity:
    """Return who an API key or a verified token stands for, and enter their scope; raises Unauthorized."""
    hashed = hash_subject(credential) if isinstance(credential, Claims) else hash_credential(credential)
    entered = await repository.authenticate_credential(session, hashed, workspace_id)
    if entered is None and isinstance(credential, Claims):
        await _link_subject(session, credential, hashed)
        entered = await repository.authenticate_credential(session, hashed, workspace_id)
        if entered is None:
            raise Unauthorized(
                "The user with the token's email address has another subject at this issuer; "
                "an admin of the account can delete them and add them again."
            )
    if entered is None:
        raise Unauthorized("This API key is unknown or revoked.")
    return Identity(entered.account_id, entered.user_id, UserRole(entered.role), entered.workspace)


async def _link_subject(session: AsyncSession, claims: Claims, hashed: str) -> None:
    """Learn at the first login which user a token's subject is: the one with the address that the issuer verified.

    Once known, the subject alone counts, so that an address given to somebody else does not open the door to them.
    """
    address = claims.verified_email
    if address is None:
        raise Unauthorized("No user has the token's subject, and the token carries no verified email address.")
    await enter_scope(session, Scope(verified_email=address))
    users = await repository.list_users_with_email(session, address)
    if not users:
        raise Unauthorized("No user has the token's email address. Ask an admin of the account to add you.")
    if len(users) > 1:
        raise Unauthorized("Users of several accounts have the token's email address. Use an API key.")
    (user,) = users
    await enter_scope(session, Scope(account_id=user.account_id))
    try:
        # Of two first logins at once the second waits here, and then finds whom the first has noted.
        await repository.link_subject(session, user.id, hashed)
    except IntegrityError as error:
        raise Unauthorized("The token's subject was linked to another user at the same time. Try again.") from error


def hash_subject(claims: Claims) -> str:
    """Return under what a token's subject is known here; issuer and subject together are one person."""
    return hash_credential(f"{claims.issuer}\n{claims.subject}")


async def create_account(session: AsyncSession, *, name: str, user_name: str, email: str) -> NewAccount:
    """Make an account with one admin and one API key for them."""
    account_id = await repository.create_id(session)
    await enter_scope(session, Scope(account_id=account_id))
    await repository.add_account(session, account_id, name)
    user = await repository.add_user(session, account_id, name=user_name, email=email, role=UserRole.ADMIN)
    made = await create_key(session, user.id, "first key")
    return NewAccount(account_id, user.id, made.token)


async def get_me(session: AsyncSession, account_id: UUID, user_id: UUID, credential: str | Claims) -> Me:
    """Return who is calling, and the key they came in with; raises NotFound when they are gone."""
    key = None
    if not isinstance(credential, Claims):
        key = await repository.find_key_by_hash(session, hash_credential(credential))
    return Me(await find_account(session, account_id), await find_user(session, user_id), key)


async def find_account(session: AsyncSession, account_id: UUID) -> Account:
    """Return the account; raises NotFound when it is gone."""
    return _there(await repository.find_account(session, account_id), "account")


async def lock_account(session: AsyncSession, account_id: UUID) -> Account:
    """Return the account, which nobody else changes until the transaction ends; raises NotFound when it is gone."""
    return _there(await repository.find_account(session, account_id, hold=True), "account")


async def rename_account(session: AsyncSession, account_id: UUID, name: str) -> Account:
    """Give the account another name."""
    return await repository.rename_account(session, account_id, name)


async def create_user(session: AsyncSession, account_id: UUID, values: dict[str, Any]) -> User:
    """Add a user to the account; raises AlreadyExists for an address that one of its users has."""
    try:
        return await repository.add_user(session, account_id, **values)
    except IntegrityError as error:
        raise AlreadyExists("A user of this account already has this email address.") from error


async def list_users(session: AsyncSession, page: PageRequest) -> Sequence[User]:
    """Return the account's users, newest first, one more than the page holds."""
    return await repository.list_users(session, page)


async def find_user(session: AsyncSession, user_id: UUID) -> User:
    """Return a user of the account; raises NotFound."""
    return _there(await repository.find_user(session, user_id), "user")


async def lock_user(session: AsyncSession, user_id: UUID, *, by: UUID) -> LockedUser:
    """Hold a user for an admin who wants to change them; raises NotFound, and Forbidden for an admin no longer one.

    All admins of the account are held with them, so that of two who take the role from each other one comes second.
    """
    held = await repository.lock_user_and_admins(session, user_id)
    admins = {one.id for one in held if one.role == UserRole.ADMIN}
    if by not in admins:
        raise Forbidden("You are no longer an admin of this account.")
    user = _there(next((one for one in held if one.id == user_id), None), "user")
    return LockedUser(user, is_last_admin=admins == {user.id})


async def change_user(session: AsyncSession, held: LockedUser, values: dict[str, Any]) -> User:
    """Change a held user's name or role; raises Conflict when the account would be left without an admin."""
    if held.is_last_admin and values.get("role", UserRole.ADMIN) != UserRole.ADMIN:
        raise Conflict("This is the account's last admin. Make another user an admin first.")
    return await repository.change_user(session, held.user.id, values) if values else held.user


async def delete_user(session: AsyncSession, held: LockedUser, *, by: UUID) -> None:
    """Delete a held user and their keys; raises Conflict when they are who asks, so that an admin remains."""
    if held.user.id == by:
        raise Conflict("You cannot delete your own user. Ask another admin of the account.")
    await repository.delete_user(session, held.user.id)


async def create_key(session: AsyncSession, user_id: UUID, name: str) -> NewKey:
    """Make an API key for a user of the account; raises NotFound when there is no such user."""
    token = KEY_PREFIX + generate_token()
    key = await repository.add_key(
        session, user_id, name=name, prefix=token[:KEY_PREFIX_LENGTH], secret_hash=hash_credential(token)
    )
    return NewKey(_there(key, "user"), token)


async def list_keys(
    session: AsyncSession, page: PageRequest, *, user_id: UUID | None, owner_id: UUID | None
) -> Sequence[ApiKey]:
    """Return keys of `user_id`, or all, that `owner_id` may see, or all; newest first, one more than the page holds."""
    return await repository.list_keys(session, page, user_id=user_id, owner_id=owner_id)


async def find_key(session: AsyncSession, key_id: UUID, owner_id: UUID | None) -> ApiKey:
    """Return a key of the account, or of `owner_id` alone; raises NotFound."""
    return _there(await repository.find_key(session, key_id, owner_id), "API key")


async def revoke_key(session: AsyncSession, key_id: UUID, owner_id: UUID | None) -> None:
    """Make a key of the account, or of `owner_id` alone, work no more from the commit on; raises NotFound."""
    if not await repository.revoke_key(session, key_id, owner_id):
        raise NotFound("There is no such API key.")


def _there(found: T | None, what: str) -> T:
    if found is None:
        raise NotFound(f"There is no such {what}.")
    return found

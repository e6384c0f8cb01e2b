"""HTTP for the caller's account, its users and their API keys."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response, status

from api.accounts import repository, service
from api.accounts.schemas import (
    AccountChange,
    AccountOut,
    ApiKeyIn,
    ApiKeyOut,
    AuthenticationMethod,
    Me,
    NewApiKeyOut,
    UserChange,
    UserIn,
    UserOut,
)
from api.http.dependencies import AdminDep, CallerDep, PageDep
from api.http.errors import AlreadyExists, Conflict, Forbidden, NotFound, PreconditionFailed, responses
from api.http.pagination import Page, to_page
from api.http.preconditions import IfMatch
from api.http.routing import KeyId, UserId, create_router
from database.models import UserRole

router = create_router("/api", "accounts")


@router.get("/me", operation_id="getMe", responses=responses(NotFound))
async def get_me(caller: CallerDep) -> Me:
    """Get the calling user, their account, and how they authenticated."""
    me = await service.get_me(caller.session, caller.account_id, caller.user_id, caller.credential)
    return Me(
        account=AccountOut.of(me.account),
        user=UserOut.of(me.user),
        authenticated_by=AuthenticationMethod.TOKEN if me.key is None else AuthenticationMethod.API_KEY,
        api_key_id=None if me.key is None else me.key.id,
    )


@router.get("/account", operation_id="getAccount", responses=responses(NotFound))
async def get_account(caller: CallerDep) -> AccountOut:
    """Get the account of the caller."""
    return AccountOut.of(await service.find_account(caller.session, caller.account_id))


@router.patch("/account", operation_id="changeAccount", responses=responses(Forbidden, NotFound, PreconditionFailed))
async def change_account(caller: AdminDep, body: AccountChange, if_match: IfMatch) -> AccountOut:
    """Rename the account of the caller."""
    locked = await service.lock_account(caller.session, caller.account_id)
    if_match.require(AccountOut.of(locked))
    return AccountOut.of(await repository.rename_account(caller.session, locked.id, body.name))


@router.get("/users", operation_id="listUsers")
async def list_users(caller: CallerDep, page: PageDep) -> Page[UserOut]:
    """List the users of the account, newest first."""
    return to_page(UserOut, await repository.list_users(caller.session, page), page)


@router.post(
    "/users",
    operation_id="createUser",
    status_code=status.HTTP_201_CREATED,
    responses=responses(Forbidden, AlreadyExists),
)
async def create_user(caller: AdminDep, body: UserIn) -> UserOut:
    """Add a user; they authenticate with an issuer's token for this address, or with an API key."""
    return UserOut.of(await service.create_user(caller.session, caller.account_id, body.model_dump()))


@router.get("/users/{userId}", operation_id="getUser", responses=responses(NotFound))
async def get_user(caller: CallerDep, user_id: UserId) -> UserOut:
    """Get a user of the account."""
    return UserOut.of(await service.find_user(caller.session, user_id))


@router.patch(
    "/users/{userId}",
    operation_id="changeUser",
    responses=responses(Forbidden, NotFound, Conflict, PreconditionFailed),
)
async def change_user(caller: AdminDep, user_id: UserId, body: UserChange, if_match: IfMatch) -> UserOut:
    """Change the name or role of a user; the role of the last admin cannot be changed."""
    locked = await service.lock_user(caller.session, user_id, by=caller.user_id)
    if_match.require(UserOut.of(locked.user))
    return UserOut.of(await service.change_user(caller.session, locked, body.model_dump(exclude_unset=True)))


@router.delete(
    "/users/{userId}",
    operation_id="deleteUser",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(Forbidden, NotFound, Conflict, PreconditionFailed),
)
async def delete_user(caller: AdminDep, user_id: UserId, if_match: IfMatch) -> None:
    """Delete a user permanently, with their keys; you cannot delete your own user, so an admin always remains."""
    locked = await service.lock_user(caller.session, user_id, by=caller.user_id)
    if_match.require(UserOut.of(locked.user))
    await service.delete_user(caller.session, locked, by=caller.user_id)


@router.get("/api-keys", operation_id="listApiKeys")
async def list_keys(
    caller: CallerDep,
    page: PageDep,
    user_id: Annotated[UUID | None, Query(alias="userId", description="Only keys of this user.")] = None,
) -> Page[ApiKeyOut]:
    """List API keys, newest first, including revoked keys: all keys for an admin, their own keys for a member."""
    keys = await repository.list_keys(caller.session, page, user_id=user_id, owner_id=_visible_owner(caller))
    return to_page(ApiKeyOut, keys, page)


@router.post(
    "/api-keys",
    operation_id="createApiKey",
    status_code=status.HTTP_201_CREATED,
    responses=responses(Forbidden, NotFound),
)
async def create_key(caller: CallerDep, body: ApiKeyIn, response: Response) -> NewApiKeyOut:
    """Create an API key; its `token` is shown only in this response."""
    user_id = body.user_id or caller.user_id
    if caller.role is not UserRole.ADMIN and user_id != caller.user_id:
        raise Forbidden("Only an admin of the account can create API keys for other users. Leave userId out.")
    created = await service.create_key(caller.session, user_id, body.name)
    response.headers["Cache-Control"] = "no-store"
    return NewApiKeyOut(**ApiKeyOut.of(created.key).model_dump(), token=created.token)


@router.get("/api-keys/{keyId}", operation_id="getApiKey", responses=responses(NotFound))
async def get_key(caller: CallerDep, key_id: KeyId) -> ApiKeyOut:
    """Get an API key; a member can only get their own keys."""
    return ApiKeyOut.of(await service.find_key(caller.session, key_id, _visible_owner(caller)))


@router.delete(
    "/api-keys/{keyId}",
    operation_id="revokeApiKey",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(NotFound),
)
async def revoke_key(caller: CallerDep, key_id: KeyId) -> None:
    """Revoke an API key permanently, even the key of this request; it stays listed and can be revoked again."""
    await service.revoke_key(caller.session, key_id, _visible_owner(caller))


def _visible_owner(caller: CallerDep) -> UUID | None:
    """Return the user whose keys the caller may see, or None for all keys of the account."""
    return None if caller.role is UserRole.ADMIN else caller.user_id

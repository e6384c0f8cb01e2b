"""The request and response bodies of accounts, users and API keys."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from api.http.fields import EmailAddress, Name
from api.http.pagination import UNCHANGED, Wire
from database.models import UserRole


class AccountChange(Wire):
    """The account's new name."""

    name: Name


class AccountOut(Wire):
    """An account: the owner of users, keys and workspaces."""

    id: UUID
    name: str
    created_at: datetime
    updated_at: datetime


class UserIn(Wire):
    """A new user of the account; the address is unique within it, in any case."""

    email: EmailAddress
    name: Name
    role: UserRole = UserRole.MEMBER


class UserChange(Wire):
    """The changes of a user; fields that are left out stay unchanged."""

    name: Name = UNCHANGED
    role: UserRole = UNCHANGED


class UserOut(Wire):
    """A user of the account."""

    id: UUID
    email: str
    name: str
    role: UserRole
    created_at: datetime
    updated_at: datetime


class AuthenticationMethod(StrEnum):
    """The kind of credential of a request."""

    API_KEY = "api_key"
    TOKEN = "token"  # noqa: S105 - the name of a method, not a secret


class Me(Wire):
    """The calling user, and how they authenticated."""

    account: AccountOut
    user: UserOut
    authenticated_by: AuthenticationMethod
    api_key_id: UUID | None = Field(description="The API key of this request; null for an issuer's token.")


class ApiKeyIn(Wire):
    """A new API key; an admin may create one for another user of the account."""

    name: Name
    user_id: UUID | None = Field(None, description="The owner of the key; by default the caller.")


class ApiKeyOut(Wire):
    """An API key, without its secret; `prefix` is its first characters."""

    id: UUID
    name: str
    prefix: str
    user_id: UUID
    created_at: datetime
    last_used_at: datetime | None = Field(description="Accurate to the minute; does not start a live update.")
    revoked_at: datetime | None


class NewApiKeyOut(ApiKeyOut):
    """A new API key with its token, which is shown only once."""

    token: str

"""Accounts, users and keys on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from pydantic import Field, model_validator

from api.accounts.workspaces.schemas import EmailAddress, Name
from api.http.pagination import Wire
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
    """A new user of the account; the address is unique in it, whatever its case."""

    email: EmailAddress
    name: Name
    role: UserRole = UserRole.MEMBER


class UserChange(Wire):
    """What to change in a user; what is left out stays."""

    name: Name | None = None
    role: UserRole | None = None

    @model_validator(mode="after")
    def _nothing_may_be_cleared(self) -> Self:
        if cleared := sorted(name for name in self.model_fields_set if getattr(self, name) is None):
            raise ValueError(f"{', '.join(cleared)} cannot be null; leave it out to keep it")
        return self


class UserOut(Wire):
    """A user of the account."""

    id: UUID
    email: str
    name: str
    role: UserRole
    created_at: datetime
    updated_at: datetime


class AuthenticationMethod(StrEnum):
    """What a request proved by who is calling."""

    API_KEY = "api_key"
    TOKEN = "token"  # noqa: S105 - the name of a way, no secret


class Me(Wire):
    """Who is calling, and how they came in."""

    account: AccountOut
    user: UserOut
    authenticated_by: AuthenticationMethod
    api_key_id: UUID | None = Field(description="The API key of this request; null for an issuer's token.")


class ApiKeyIn(Wire):
    """A new API key; an admin may make one for another user of the account."""

    name: Name
    user_id: UUID | None = Field(None, description="Whose key it is; the caller's own when left out.")


class ApiKeyOut(Wire):
    """An API key, of which only the first characters can still be read."""

    id: UUID
    name: str
    prefix: str
    user_id: UUID
    created_at: datetime
    last_used_at: datetime | None = Field(description="To the minute; a live query shows it with the next change.")
    revoked_at: datetime | None


class NewApiKeyOut(ApiKeyOut):
    """An API key just made, with its token, which is shown this once."""

    token: str

"""Accounts, users, workspaces and connections on the wire."""

from datetime import datetime, time
from typing import Annotated, Self
from uuid import UUID
from zoneinfo import available_timezones

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field, HttpUrl, SecretStr, model_validator

from api.pagination import Wire
from database.models import UserRole


def _known_timezone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"'{name}' is not an IANA time zone such as Africa/Johannesburg")
    return name


def _plain_address(address: str) -> str:
    try:
        return validate_email(address, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise ValueError(str(error)) from error


Timezone = Annotated[str, AfterValidator(_known_timezone)]
EmailAddress = Annotated[str, Field(max_length=254), AfterValidator(_plain_address)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Weekday = Annotated[int, Field(ge=0, le=6, description="0 is Monday.")]


class AccountOut(Wire):
    """An account."""

    id: UUID
    name: str


class UserOut(Wire):
    """A user of the account."""

    id: UUID
    email: str
    name: str
    role: UserRole


class Me(Wire):
    """Who the API key stands for."""

    account: AccountOut
    user: UserOut


class WorkspaceIn(Wire):
    """A new workspace and the settings it sends by."""

    name: Name
    default_from_name: Name
    default_from_email: EmailAddress
    postal_address: Annotated[str, Field(max_length=500)] = ""
    timezone: Timezone = "Africa/Johannesburg"
    window_start: time = time(8)
    window_end: time = time(17)
    sending_weekdays: Annotated[tuple[Weekday, ...], Field(min_length=1, max_length=7)] = (0, 1, 2, 3, 4)
    holidays_country: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = "ZA"
    daily_cap: Annotated[int, Field(ge=1, le=1_000_000)] | None = None

    @model_validator(mode="after")
    def _window_opens_before_it_closes(self) -> Self:
        if self.window_start >= self.window_end:
            raise ValueError("windowStart must be before windowEnd")
        return self


class WorkspaceChange(Wire):
    """A workspace's settings to change; what is left out stays."""

    name: Name | None = None
    default_from_name: Name | None = None
    default_from_email: EmailAddress | None = None
    postal_address: Annotated[str, Field(max_length=500)] | None = None
    timezone: Timezone | None = None
    window_start: time | None = None
    window_end: time | None = None
    sending_weekdays: Annotated[tuple[Weekday, ...], Field(min_length=1, max_length=7)] | None = None
    holidays_country: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None
    daily_cap: Annotated[int, Field(ge=1, le=1_000_000)] | None = None

    @model_validator(mode="after")
    def _only_optional_settings_may_be_cleared(self) -> Self:
        cleared = [name for name in self.model_fields_set if getattr(self, name) is None]
        if kept := sorted(set(cleared) - {"holidays_country", "daily_cap"}):
            raise ValueError(f"{', '.join(kept)} cannot be null; leave it out to keep it")
        return self


class WorkspaceOut(WorkspaceIn):
    """A workspace."""

    id: UUID
    created_at: datetime
    updated_at: datetime


class ConnectionIn(Wire):
    """How the workspace reaches Everlytic."""

    transactional_url: HttpUrl
    tenant_url: HttpUrl
    username: Name
    api_key: SecretStr


class ConnectionOut(Wire):
    """The workspace's connection; keys are never shown."""

    transactional_url: str
    tenant_url: str
    username: str
    webhook_id: str | None
    disabled_at: datetime | None
    disabled_reason: str | None


class NewConnectionOut(ConnectionOut):
    """A connection just made, with where replies are to be forwarded; the address holds a secret, shown this once."""

    webhook_url: str
    inbound_url: str

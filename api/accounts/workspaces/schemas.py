"""The request and response bodies of workspaces and connections."""

import re
from datetime import date, datetime, time
from functools import cache, partial
from typing import Annotated, Self
from uuid import UUID

from holidays import list_supported_countries
from pydantic import AfterValidator, BeforeValidator, Field, HttpUrl, SecretStr, WithJsonSchema, model_validator

from api.http.fields import EmailAddress, Name, Timezone
from api.http.pagination import UNCHANGED, Wire
from domain.lead import LeadSegment
from domain.tracking import TrackingSetting

TIME_OF_DAY = "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"

_countries = cache(partial(list_supported_countries, include_aliases=False))


def _time_text(value: object) -> object:
    if isinstance(value, time) or (isinstance(value, str) and re.fullmatch(TIME_OF_DAY, value)):
        return value
    raise ValueError("must be a time of day in the workspace's time zone, such as 08:00")


def _known_country(code: str) -> str:
    if code not in _countries():
        raise ValueError(f"no public holidays are known for '{code}'; use null to send on holidays")
    return code


def _each_once(days: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(days)) != len(days):
        raise ValueError("names the same day twice")
    return days


PostalAddress = Annotated[str, Field(max_length=500)]
Weekday = Annotated[int, Field(strict=True, ge=0, le=6, description="0 is Monday.")]
Weekdays = Annotated[
    tuple[Weekday, ...],
    Field(min_length=1, max_length=7, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_each_once),
]
HolidaysCountry = Annotated[
    str,
    Field(pattern="^[A-Z]{2}$", description="The ISO code of the country whose public holidays are no sending days."),
    AfterValidator(_known_country),
]
DailyCap = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
RampStart = Annotated[
    date, Field(description="The day that sends rampFrom mails, and each sending day after rampStep more.")
]
RampMails = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
SendsPerMinute = Annotated[int, Field(strict=True, ge=1, le=60_000)]
DomainGapSeconds = Annotated[
    int,
    Field(strict=True, ge=1, le=86_400, description="The least seconds between two mails to one domain."),
]
UnknownWaitHours = Annotated[
    int, Field(strict=True, ge=1, le=720, description="For how many hours a send of unknown outcome is looked up.")
]
GuardSample = Annotated[
    int,
    Field(
        strict=True,
        ge=10,
        le=100_000,
        description="How many latest mails of a sequence the bounce rate uses.",
    ),
]
ComplaintSample = Annotated[
    int,
    Field(
        strict=True,
        ge=10,
        le=100_000,
        description="How many latest mails of a sequence the complaint rate uses.",
    ),
]
BounceRate = Annotated[
    float, Field(ge=0, le=1, description="A sequence pauses if more than this share of guardSample mails bounced.")
]
ComplaintRate = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        description="A sequence pauses if more than this share of complaintSample mails were complained about.",
    ),
]
DailyComplaints = Annotated[
    int,
    Field(
        strict=True,
        ge=1,
        le=100_000,
        description="As many complaints about a sequence's mails on one day, in the workspace's time zone, pause it.",
    ),
]
Voice = Annotated[
    str, Field(max_length=2_000, description="The tone of the team, in its own words; models write in this tone.")
]
ReplyToEmail = Annotated[
    EmailAddress,
    Field(description="The address for replies; each mail has its own subaddress of it, `name+…@domain`."),
]
DailyTokenBudget = Annotated[
    int,
    Field(
        strict=True,
        ge=0,
        le=2_000_000_000,
        description="The model tokens per day in the workspace's time zone; beyond it rules and templates are used.",
    ),
]
TimeOfDay = Annotated[
    time,
    # A number would be read as seconds after midnight, and an offset needs a date.
    BeforeValidator(_time_text),
    WithJsonSchema({"type": "string", "pattern": TIME_OF_DAY, "examples": ["08:00:00"]}),
]


Tracking = Annotated[
    TrackingSetting,
    Field(
        description="What is measured of mails: opens and clicks (`all`), clicks, or nothing (`off`). `automatic` is "
        "`clicks` for leads in countries that ask for consent to measure opens, and `all` for others."
    ),
]
DefaultSegment = Annotated[LeadSegment, Field(description="The segment of imported leads whose file names none.")]
Employees = Annotated[
    int,
    Field(
        strict=True,
        ge=1,
        le=1_000_000_000,
        description="The fewest employees of an imported lead's company.",
    ),
]


def ramp_problem(cap: int | None, start: date | None, first: int | None, step: int | None) -> str | None:
    """Return the problem of a ramp-up, or None."""
    given = [start is not None, first is not None, step is not None]
    if any(given) and not all(given):
        return "rampStart, rampFrom and rampStep are set together, or none is"
    return "a ramp-up rises to dailyCap, which is not set" if all(given) and cap is None else None


class WorkspaceIn(Wire):
    """A new workspace and its settings."""

    name: Name
    default_from_name: Name
    default_from_email: EmailAddress
    postal_address: PostalAddress = ""
    timezone: Timezone = "Africa/Johannesburg"
    window_start: TimeOfDay = time(8)
    window_end: TimeOfDay = time(17)
    sending_weekdays: Weekdays = (0, 1, 2, 3, 4)
    holidays_country: HolidaysCountry | None = "ZA"
    daily_cap: DailyCap | None = None
    ramp_start: RampStart | None = None
    ramp_from: RampMails | None = None
    ramp_step: RampMails | None = None
    sends_per_minute: SendsPerMinute | None = None
    domain_gap_seconds: DomainGapSeconds | None = None
    unknown_wait_hours: UnknownWaitHours = 24
    guard_sample: GuardSample = 200
    max_bounce_rate: BounceRate | None = 0.05
    complaint_sample: ComplaintSample = 1000
    max_complaint_rate: ComplaintRate | None = 0.001
    max_daily_complaints: DailyComplaints | None = 3
    tracking: Tracking = TrackingSetting.AUTOMATIC
    mid_market_from: Employees = 100
    enterprise_from: Employees = 1000
    default_segment: DefaultSegment | None = None
    voice: Voice = ""
    reply_to_email: ReplyToEmail | None = None
    daily_token_budget: DailyTokenBudget | None = None

    @model_validator(mode="after")
    def _segments_follow_each_other(self) -> Self:
        if self.mid_market_from >= self.enterprise_from:
            raise ValueError("midMarketFrom must be less than enterpriseFrom")
        return self

    @model_validator(mode="after")
    def _ramp_is_whole(self) -> Self:
        if problem := ramp_problem(self.daily_cap, self.ramp_start, self.ramp_from, self.ramp_step):
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _window_opens_before_it_closes(self) -> Self:
        if self.window_start >= self.window_end:
            raise ValueError("windowStart must be before windowEnd")
        return self


class WorkspaceChange(Wire):
    """The changes of a workspace; fields that are left out stay unchanged."""

    name: Name = UNCHANGED
    default_from_name: Name = UNCHANGED
    default_from_email: EmailAddress = UNCHANGED
    postal_address: PostalAddress = UNCHANGED
    timezone: Timezone = UNCHANGED
    window_start: TimeOfDay = UNCHANGED
    window_end: TimeOfDay = UNCHANGED
    sending_weekdays: Weekdays = UNCHANGED
    holidays_country: HolidaysCountry | None = None
    daily_cap: DailyCap | None = None
    ramp_start: RampStart | None = None
    ramp_from: RampMails | None = None
    ramp_step: RampMails | None = None
    sends_per_minute: SendsPerMinute | None = None
    domain_gap_seconds: DomainGapSeconds | None = None
    unknown_wait_hours: UnknownWaitHours = UNCHANGED
    guard_sample: GuardSample = UNCHANGED
    max_bounce_rate: BounceRate | None = None
    complaint_sample: ComplaintSample = UNCHANGED
    max_complaint_rate: ComplaintRate | None = None
    max_daily_complaints: DailyComplaints | None = None
    tracking: Tracking = UNCHANGED
    mid_market_from: Employees = UNCHANGED
    enterprise_from: Employees = UNCHANGED
    default_segment: DefaultSegment | None = None
    voice: Voice = UNCHANGED
    reply_to_email: ReplyToEmail | None = None
    daily_token_budget: DailyTokenBudget | None = None


class WorkspaceOut(Wire):
    """A workspace and its settings."""

    id: UUID
    name: str
    default_from_name: str
    default_from_email: str
    postal_address: str
    timezone: str
    window_start: Annotated[time, WithJsonSchema({"type": "string", "examples": ["08:00:00"]})]
    window_end: Annotated[time, WithJsonSchema({"type": "string", "examples": ["17:00:00"]})]
    sending_weekdays: tuple[int, ...]
    holidays_country: str | None
    daily_cap: int | None
    ramp_start: date | None
    ramp_from: int | None
    ramp_step: int | None
    sends_per_minute: int | None
    domain_gap_seconds: int | None
    unknown_wait_hours: int
    guard_sample: int
    max_bounce_rate: float | None
    complaint_sample: int
    max_complaint_rate: float | None
    max_daily_complaints: int | None
    tracking: TrackingSetting
    mid_market_from: int
    enterprise_from: int
    default_segment: LeadSegment | None
    voice: str
    reply_to_email: str | None
    daily_token_budget: int | None
    created_at: datetime
    updated_at: datetime


class ConnectionIn(Wire):
    """The URLs and credentials of a connection to Everlytic."""

    transactional_url: HttpUrl
    tenant_url: HttpUrl
    username: Name
    api_key: Annotated[SecretStr, Field(min_length=1, max_length=1000)]


class ConnectionState(Wire):
    """The stored fields of a connection, without its keys."""

    transactional_url: str
    tenant_url: str
    username: str
    webhook_id: str | None
    disabled_at: datetime | None
    disabled_reason: str | None
    """Why the connection is disabled until it is replaced with other credentials."""
    blocked_until: datetime | None
    blocked_reason: str | None
    """Why nothing is sent until `blockedUntil`; after it one mail probes whether Everlytic works again."""


class ConnectionOut(ConnectionState):
    """The connection of a workspace, without its keys."""

    holds: Annotated[
        list[str],
        Field(
            description="What the workspace lacks to mail people through this connection; empty if nothing, and if the "
            "provider's host is not on the internet."
        ),
    ]


class NewConnectionOut(ConnectionOut):
    """A new connection, with the URL to forward replies to; the URLs contain a secret and are shown only once."""

    webhook_url: str
    inbound_url: str

"""The data models of the Everlytic client, with our field names and the provider's names as aliases."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

MESSAGE_HEADER = "X-SalesMatter-Draft"
"""The custom header that repeats ``Mail.message_id``, because legacy callbacks and the tenant API return custom headers
but not the message id."""

T = TypeVar("T")


MIN_MILLISECONDS = 10**11
"""A number from this one on is milliseconds: as seconds it would be in the year 5138, as milliseconds in 1973."""


def parse_time(value: object) -> object:
    """Parse a time of the provider: Unix seconds or milliseconds (0 is never), also as text, or ISO 8601.

    A time without a zone is UTC. Other values are returned unchanged, and pydantic then refuses them.
    """
    if isinstance(value, str) and value.strip().lstrip("-").isdigit():
        value = int(value)
    if value is None or value == "" or isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _from_seconds(value)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return value
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value


def _from_seconds(value: float) -> datetime | None:
    if abs(value) >= MIN_MILLISECONDS:
        value /= 1000
    try:
        return datetime.fromtimestamp(value, UTC) if value else None
    except (OverflowError, OSError):
        message = "the number of seconds is out of range"
        raise ValueError(message) from None


def parse_headers(value: object) -> object:
    """Parse custom headers of the provider: an empty list for none, and one or several texts per name."""
    if value is None or value in ([], ""):
        return {}
    if isinstance(value, list):
        merged: dict[str, object] = {}
        for part in value:
            if isinstance(part, dict):
                merged.update({str(part["name"]): part.get("value", "")} if "name" in part else part)
        value = merged
    if isinstance(value, dict):
        return {
            str(name): [str(text) for text in texts] if isinstance(texts, list | tuple) else [str(texts)]
            for name, texts in value.items()
        }
    return value


def _text(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(_text)]
"""A text that the provider sometimes sends as a number (ids, codes)."""

OptionalTime = Annotated[datetime | None, BeforeValidator(parse_time)]
Headers = Annotated[dict[str, list[str]], BeforeValidator(parse_headers)]


class Record(BaseModel):
    """A frozen model; unknown fields of the provider are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


def _require_one_line(value: str) -> str:
    if "\r" in value or "\n" in value:
        message = "a mail header must be one line; remove the line breaks"
        raise ValueError(message)
    return value


class Address(Record):
    """An email address with an optional display name."""

    email: str = Field(min_length=3)
    name: str | None = None

    @field_validator("email", "name")
    @classmethod
    def _refuse_line_breaks(cls, value: str | None) -> str | None:
        return None if value is None else _require_one_line(value)

    @field_validator("email")
    @classmethod
    def _require_local_part_and_domain(cls, value: str) -> str:
        local, _, domain = value.rpartition("@")
        if not local or not domain:
            message = f"{value!r} is not an email address"
            raise ValueError(message)
        return value


class Attachment(Record):
    """An attached file; ``content`` is the raw bytes, ``content_id`` lets the HTML refer to it."""

    filename: str
    content: bytes = Field(repr=False)
    content_id: str | None = None


class Personalisation(Record):
    """Values for the tags in the body, for all recipients or per recipient address."""

    common: dict[str, str] = Field(default_factory=dict)
    unique: dict[str, dict[str, str]] = Field(default_factory=dict)


class Mail(Record):
    """One transactional mail for the v1 service.

    ``message_id`` is the caller's own id, sent as ``headers.message_id`` and in the custom header ``MESSAGE_HEADER``.
    ``group_name`` is the group under which Everlytic sums results. The mail needs ``html`` or ``text``, or a
    ``template_id``, whose template provides subject and sender.
    """

    to: list[Address] = Field(min_length=1)
    subject: str | None = None
    from_: Address | None = None
    message_id: str | None = None
    reply_to: Address | None = None
    cc: list[Address] = Field(default_factory=list)
    bcc: list[Address] = Field(default_factory=list)
    custom_headers: Headers = Field(default_factory=dict)
    html: str | None = None
    text: str | None = None
    group_name: str | None = None
    template_id: str | None = None
    track_opens: bool | None = None
    track_links: bool | None = None
    track_attachments: bool | None = None
    personalisation: Personalisation | None = None
    attachments: list[Attachment] = Field(default_factory=list)

    @field_validator("subject", "message_id")
    @classmethod
    def _refuse_line_breaks(cls, value: str | None) -> str | None:
        return None if value is None else _require_one_line(value)

    @field_validator("custom_headers")
    @classmethod
    def _refuse_line_breaks_in_headers(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        for name, texts in value.items():
            _require_one_line(name)
            for text in texts:
                _require_one_line(text)
        return value

    @model_validator(mode="after")
    def _require_content(self) -> Self:
        if self.template_id is None:
            missing = [name for name in ("subject", "from_") if getattr(self, name) is None]
            if self.html is None and self.text is None:
                missing.append("html or text")
            if missing:
                message = f"a mail without a template needs {', '.join(missing)}"
                raise ValueError(message)
        return self


class SendResult(Record):
    """The accepted mail: one transaction id per recipient in ``to``."""

    transaction_ids: tuple[str, ...] = Field(min_length=1)

    @property
    def transaction_id(self) -> str:
        """The transaction id of the first recipient, who is usually the only one."""
        return self.transaction_ids[0]


class ProviderEventType(StrEnum):
    """The eight event types that Everlytic documents."""

    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    OPEN = "open"
    CLICK = "click"
    BOUNCE = "bounce"
    UNSUBSCRIBE = "unsubscribe"
    RESUBSCRIBE = "resubscribe"


class WebhookRegistration(Record):
    """A webhook to register; Everlytic sends ``username`` and ``password`` as Basic credentials."""

    url: str
    event_types: tuple[ProviderEventType, ...] = tuple(ProviderEventType)
    verb: Literal["get", "put", "post", "patch", "delete"] = "post"
    username: str | None = None
    password: SecretStr | None = None
    content_type: Literal["application/json", "application/x-www-form-urlencoded"] = "application/json"
    field_set: Literal["standard", "legacy"] = "standard"
    include_html: bool = False


class Webhook(Record):
    """A webhook registered at Everlytic, without its password."""

    id: Text
    url: str
    verb: str = "post"
    status: str = "enabled"
    event_types: tuple[str, ...] = ()
    content_type: str | None = None
    field_set: str | None = None


class ProviderRecord(Record):
    """A record that Everlytic returned; ``raw`` is the unparsed record."""

    raw: dict[str, Any] = Field(default_factory=dict, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _store_raw(cls, value: object) -> object:
        return {**value, "raw": value} if isinstance(value, dict) and "raw" not in value else value


class Transaction(ProviderRecord):
    """One sent mail as the tenant API returns it; counters are totals, not unique counts."""

    id: Text
    sender: str | None = Field(default=None, alias="send_email_from")
    recipient: str | None = Field(default=None, alias="send_email_to")
    custom_headers: Headers = Field(default_factory=dict)
    group_id: Text | None = None
    group_name: str | None = Field(default=None, validation_alias=AliasChoices("group_name", "trans_group_name"))
    status: str | None = Field(default=None, alias="send_status")
    sent_at: OptionalTime = Field(default=None, alias="send_date")
    opens: int = 0
    clicks: int = Field(default=0, alias="link_clicks")
    mta_status: str | None = Field(default=None, alias="send_mta_status")
    bounce_type: str | None = None
    bounce_reason: str | None = None
    subject: str | None = None

    def get_header(self, name: str) -> str | None:
        """Return the first value of a custom header; the name's case does not matter."""
        return find_header(self.custom_headers, name)

    @property
    def message_id(self) -> str | None:
        """The caller's message id, read from ``MESSAGE_HEADER``."""
        return self.get_header(MESSAGE_HEADER)


class CallbackEvent(ProviderRecord):
    """One event as the tenant API lists it, with the legacy callback's fields; ``webhooks`` derives its key."""

    id: Text | None = Field(default=None, alias="event_id")
    type: str = Field(alias="event_type")
    occurred_at: OptionalTime = Field(default=None, alias="event_date")
    recipient: str | None = Field(default=None, alias="email_to")
    group_name: str | None = None
    custom_headers: Headers = Field(default_factory=dict)
    transaction_id: Text | None = Field(default=None, alias="trans_id")


class BulkEmail(ProviderRecord):
    """One bulk email (campaign) as the tenant API lists it; ``status`` is composing, sending or sent."""

    id: Text
    campaign_name: str | None = None
    subject: str | None = None
    from_email: str | None = None
    status: str | None = None
    created_at: OptionalTime = Field(default=None, alias="date_create")
    sent_at: OptionalTime = Field(default=None, alias="send_date")


class CampaignReport(ProviderRecord):
    """The overview report of a bulk email.

    The field names of this report are not public. The aliases below are assumptions until an account shows the real
    names; correct them here. A figure that the provider does not give is None, not 0.
    """

    email_id: Text = Field(alias="email_id")
    sent: int | None = Field(default=None, alias="email_message_count")
    delivered: int | None = Field(default=None, alias="message_delivered")
    opens: int | None = Field(default=None, alias="message_reads")
    unique_opens: int | None = Field(default=None, alias="message_reads_unique")
    clicks: int | None = Field(default=None, alias="message_link_clicks")
    unique_clicks: int | None = Field(default=None, alias="message_link_clicks_unique")
    hard_bounces: int | None = Field(default=None, alias="email_bounce_hard_count")
    soft_bounces: int | None = Field(default=None, alias="email_bounce_soft_count")
    unsubscribes: int | None = Field(default=None, alias="unsubscribe_count")
    complaints: int | None = Field(default=None, alias="complaints_count")


class Page(BaseModel, Generic[T]):
    """One page of a list and the URL of the next page, None on the last."""

    items: list[T]
    next_url: str | None = None


def find_header(headers: dict[str, list[str]], name: str) -> str | None:
    """Return the first value of a header, or None; the name's case does not matter."""
    lower_name = name.lower()
    return next((texts[0] for key, texts in headers.items() if key.lower() == lower_name and texts), None)
